// Allocation: device, page-locked and managed memory; what an address is.
#include <cuda_runtime_api.h>

#include <cstdlib>

#include "gpu/runtime/graph_memory.hpp"
#include "gpu/runtime/runtime.hpp"

namespace gpu::runtime {
namespace {

constexpr std::size_t kPitch = 512;

std::size_t rounded(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

void* allocate_host(Runtime& r, std::size_t bytes, unsigned flags, HostBlock::Origin origin) {
  if (bytes == 0) return nullptr;
  constexpr std::size_t kPage = 4096;
  void* data = std::aligned_alloc(kPage, rounded(bytes, kPage));
  if (data == nullptr) throw std::bad_alloc();
  const bool managed = origin == HostBlock::Origin::managed;
  for (const auto& context : r.contexts) {
    context->memory->adopt(data, bytes, managed ? Residence::managed : Residence::host,
                           managed ? "managed memory" : "page-locked memory");
  }
  r.host_blocks[data] = {data, bytes, flags, origin};
  return data;
}

void finish_everything(Runtime& r) {
  for (const auto& context : r.contexts) r.schedule->finish_all(*context);
}

void release_host(Runtime& r, void* data) {
  auto found = r.host_blocks.find(data);
  if (found == r.host_blocks.end()) fail(cudaErrorInvalidValue, "not page-locked memory");
  finish_everything(r);  // as the real ones do
  for (const auto& context : r.contexts) {
    context->memory->release(reinterpret_cast<Address>(data));
  }
  if (found->second.origin != HostBlock::Origin::registered) std::free(data);
  r.host_blocks.erase(found);
}

}  // namespace
}  // namespace gpu::runtime

using namespace gpu::runtime;

extern "C" {

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  return call([&](Runtime& r) {
    forbid_in_capture(r.context());
    *data = r.context().allocate(bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaMallocPitch(void** data, std::size_t* pitch, std::size_t width, std::size_t rows) {
  return call([&](Runtime& r) {
    forbid_in_capture(r.context());
    *pitch = rounded(width, kPitch);
    *data = r.context().allocate(*pitch * rows);
    return cudaSuccess;
  });
}

cudaError_t cudaFree(void* data) {
  return call([&](Runtime& r) {
    if (data == nullptr) return cudaSuccess;
    forbid_in_capture(r.context());
    const HostBlock* block = r.host_block(data);
    if (block != nullptr && block->origin == HostBlock::Origin::managed) {
      release_host(r, data);
      return cudaSuccess;
    }
    Context& context = *owner_of_free(r, data);
    r.schedule->finish_all(context);
    context.memory->release(reinterpret_cast<gpu::Address>(data));
    return cudaSuccess;
  });
}

cudaError_t cudaMallocHost(void** data, std::size_t bytes) { return cudaHostAlloc(data, bytes, 0); }

cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned flags) {
  return call([&](Runtime& r) {
    *data = allocate_host(r, bytes, flags, HostBlock::Origin::allocated);
    return cudaSuccess;
  });
}

cudaError_t cudaFreeHost(void* data) {
  return call([&](Runtime& r) {
    if (data != nullptr) release_host(r, data);
    return cudaSuccess;
  });
}

cudaError_t cudaHostRegister(void* data, std::size_t bytes, unsigned flags) {
  return call([&](Runtime& r) {
    if (data == nullptr || bytes == 0) return cudaErrorInvalidValue;
    if (r.host_block(data) != nullptr) return cudaErrorHostMemoryAlreadyRegistered;
    for (const auto& context : r.contexts) {
      context->memory->adopt(data, bytes, gpu::Residence::host, "registered host memory");
    }
    r.host_blocks[data] = {data, bytes, flags, HostBlock::Origin::registered};
    return cudaSuccess;
  });
}

cudaError_t cudaHostUnregister(void* data) {
  return call([&](Runtime& r) {
    if (r.host_blocks.count(data) == 0) return cudaErrorHostMemoryNotRegistered;
    release_host(r, data);
    return cudaSuccess;
  });
}

cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  return call([&](Runtime& r) {
    if (r.host_block(host) == nullptr) return cudaErrorInvalidValue;
    *device = host;
    return cudaSuccess;
  });
}

cudaError_t cudaHostGetFlags(unsigned* flags, void* host) {
  return call([&](Runtime& r) {
    const HostBlock* block = r.host_block(host);
    if (block == nullptr) return cudaErrorInvalidValue;
    *flags = block->flags;
    return cudaSuccess;
  });
}

cudaError_t cudaMallocManaged(void** data, std::size_t bytes, unsigned flags) {
  return call([&](Runtime& r) {
    if (bytes == 0) return cudaErrorInvalidValue;
    *data = allocate_host(r, bytes, flags, HostBlock::Origin::managed);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPrefetchAsync(const void*, std::size_t, cudaMemLocation, unsigned,
                                 cudaStream_t) {
  return call([](Runtime&) { return cudaSuccess; });
}

cudaError_t cudaMemAdvise(const void*, std::size_t, cudaMemoryAdvise, cudaMemLocation) {
  return call([](Runtime&) { return cudaSuccess; });
}

cudaError_t cudaMemGetInfo(std::size_t* available, std::size_t* total) {
  return call([&](Runtime& r) {
    const gpu::Memory& memory = *r.context().memory;
    *total = memory.capacity();
    *available = memory.capacity() - memory.bytes_in_use();
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return call([&](Runtime& r) {
    *attributes = {};
    attributes->device = -2;  // what the real one says of memory it doesn't know
    if (Context* context = r.owner(pointer)) {
      auto allocation = context->memory->find(reinterpret_cast<gpu::Address>(pointer));
      // an H200 does not know memory of graphs that no launch has allocated
      if (allocation == nullptr || !allocation->live) return cudaSuccess;
      attributes->type = cudaMemoryTypeDevice;
      attributes->device = context->ordinal;
      attributes->devicePointer = const_cast<void*>(pointer);
    } else if (const HostBlock* block = r.host_block(pointer)) {
      attributes->type =
          block->origin == HostBlock::Origin::managed ? cudaMemoryTypeManaged : cudaMemoryTypeHost;
      attributes->device = r.context().ordinal;
      attributes->devicePointer = attributes->hostPointer = const_cast<void*>(pointer);
    } else {
      attributes->hostPointer = const_cast<void*>(pointer);
    }
    return cudaSuccess;
  });
}
}
