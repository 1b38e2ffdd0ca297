#include "gpu/runtime/copy.hpp"

#include <cstring>
#include <utility>

namespace gpu::runtime {
namespace {

Address address_of(const void* pointer) { return reinterpret_cast<Address>(pointer); }

std::size_t extent(const CopyShape& shape, std::size_t pitch) {
  return shape.rows == 0 || shape.width == 0 ? 0 : (shape.rows - 1) * pitch + shape.width;
}

// Throws unless the range lies in one allocation of the device.
void check_range(const Context& context, const void* begin, std::size_t bytes) {
  auto allocation = context.memory->find(address_of(begin));
  if (!allocation || !context.is_usable(*allocation) ||
      address_of(begin) + bytes > allocation->begin + allocation->bytes) {
    fail(cudaErrorInvalidValue,
         std::to_string(bytes) + " bytes at " + context.memory->describe(address_of(begin)));
  }
}

// Device -> host. Undefined bits reach the host as ones: NaN, -1, never an innocent 0.
void copy_out(const Memory& memory, std::byte* to, Address from, std::size_t bytes) {
  memory.copy_out(to, from, bytes);
  if (!memory.first_undefined(from, bytes)) return;
  auto allocation = memory.find(from);
  const std::byte* defined = allocation->defined + (from - allocation->begin);
  for (std::size_t i = 0; i < bytes; ++i) to[i] |= ~defined[i];
}

void copy_row(Context* to_device, Context* from_device, std::byte* to, const std::byte* from,
              std::size_t bytes) {
  if (bytes == 0) return;
  if (to_device != nullptr && to_device == from_device) {
    to_device->memory->copy(address_of(to), address_of(from), bytes);
  } else if (to_device != nullptr && from_device != nullptr) {
    std::vector<std::byte> staging(bytes);
    copy_out(*from_device->memory, staging.data(), address_of(from), bytes);
    to_device->memory->copy_in(address_of(to), staging.data(), bytes);
  } else if (to_device != nullptr) {
    to_device->memory->copy_in(address_of(to), from, bytes);
  } else if (from_device != nullptr) {
    copy_out(*from_device->memory, to, address_of(from), bytes);
  } else {
    std::memmove(to, from, bytes);
  }
}

void check_kind(cudaMemcpyKind kind, bool to_device, bool from_device, bool to_usable,
                bool from_usable) {
  const bool wants_device_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool wants_device_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind == cudaMemcpyDefault) return;
  if ((wants_device_to && !to_usable) || (wants_device_from && !from_usable) ||
      (!wants_device_to && to_device) || (!wants_device_from && from_device)) {
    fail(cudaErrorInvalidValue, "the direction of a copy doesn't fit its addresses");
  }
}

// Runs `work` on the stream; a failure in it is one of the device.
OperationPtr enqueue_checked(Stream& stream, cudaGraphNodeType type, std::function<void()> work) {
  return enqueue(stream, type, [context = stream.context, work = std::move(work)] {
    try {
      work();
    } catch (const MemoryError& error) {
      context->fail(cudaErrorIllegalAddress, error.what());
    }
  });
}

}  // namespace

void copy(void* to, const void* from, CopyShape shape, cudaMemcpyKind kind, Stream& stream,
          Return when) {
  if (shape.width == 0 || shape.rows == 0) return;
  if (to == nullptr || from == nullptr) fail(cudaErrorInvalidValue, "a copy from or to null");
  Runtime& r = runtime();
  Context* to_device = r.owner(to);
  Context* from_device = r.owner(from);
  const bool to_pageable = to_device == nullptr && r.host_block(to) == nullptr;
  const bool from_pageable = from_device == nullptr && r.host_block(from) == nullptr;
  check_kind(kind, to_device != nullptr, from_device != nullptr, !to_pageable, !from_pageable);
  if (to_device) check_range(*to_device, to, extent(shape, shape.to_pitch));
  if (from_device) check_range(*from_device, from, extent(shape, shape.from_pitch));

  // Pageable memory is read now; a graph would read it again at every launch, so it is left there.
  auto staged = std::make_shared<std::vector<std::byte>>();
  const auto* source = static_cast<const std::byte*>(from);
  if (from_pageable && to_device != nullptr && !stream.capture) {
    staged->assign(source, source + extent(shape, shape.from_pitch));
    source = staged->data();
  }
  auto work = [=, target = static_cast<std::byte*>(to)] {
    (void)staged;  // kept alive
    for (std::size_t row = 0; row < shape.rows; ++row) {
      copy_row(to_device, from_device, target + row * shape.to_pitch,
               source + row * shape.from_pitch, shape.width);
    }
  };
  OperationPtr operation = enqueue_checked(stream, cudaGraphNodeTypeMemcpy, std::move(work));
  const bool between_devices = to_device != nullptr && from_device != nullptr;
  if (to_pageable || (when == Return::when_done && !between_devices)) r.schedule->finish(operation);
}

void fill(void* to, int value, CopyShape shape, Stream& stream, Return when) {
  if (shape.width == 0 || shape.rows == 0) return;
  Runtime& r = runtime();
  Context* device = r.owner(to);
  if (device == nullptr && r.host_block(to) == nullptr) {
    fail(cudaErrorInvalidValue, "memset of memory that is not the device's");
  }
  if (device) check_range(*device, to, extent(shape, shape.to_pitch));
  auto work = [=, target = static_cast<std::byte*>(to)] {
    for (std::size_t row = 0; row < shape.rows; ++row) {
      std::byte* begin = target + row * shape.to_pitch;
      if (device != nullptr) {
        device->memory->fill(address_of(begin), static_cast<std::uint8_t>(value), shape.width);
      } else {
        std::memset(begin, value, shape.width);
      }
    }
  };
  OperationPtr operation = enqueue_checked(stream, cudaGraphNodeTypeMemset, std::move(work));
  if (when == Return::when_done && device == nullptr) r.schedule->finish(operation);
}

}  // namespace gpu::runtime
