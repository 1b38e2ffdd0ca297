// Allocation: device, pools, page-locked and managed memory; what an address is.
#include <cuda_runtime_api.h>

#include <cstdlib>

#include "gpu/runtime/runtime.hpp"

namespace gpu::runtime {
namespace {

constexpr std::size_t kPitch = 512;

std::size_t rounded(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

void* allocate(Context& context, std::size_t bytes) {
  return bytes == 0 ? nullptr : reinterpret_cast<void*>(context.allocate(bytes));
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

Context& owner_of(Runtime& r, const void* data) {
  Context* context = r.owner(data);
  if (context == nullptr) fail(cudaErrorInvalidValue, "not device memory");
  auto allocation = context->memory->find(reinterpret_cast<Address>(data));
  if (!allocation || !allocation->live || allocation->begin != reinterpret_cast<Address>(data)) {
    fail(cudaErrorInvalidValue,
         "free of " + context->memory->describe(reinterpret_cast<Address>(data)));
  }
  return *context;
}

Pool& pool_of(Runtime& r, cudaMemPool_t handle) {
  for (const auto& context : r.contexts) {
    for (const auto& pool : context->pools) {
      if (pool.get() == reinterpret_cast<Pool*>(handle)) return *pool;
    }
  }
  fail(cudaErrorInvalidValue, "not a memory pool");
}

cudaMemPool_t handle_of(Pool& pool) { return reinterpret_cast<cudaMemPool_t>(&pool); }

// The address is valid at once; that the memory is only usable in the stream's order can't be seen.
void* allocate_from(Pool& pool, std::size_t bytes) {
  void* data = allocate(*pool.context, bytes);
  if (data != nullptr) {
    pool.context->pooled[data] = bytes;
    pool.used += bytes;
    pool.used_high = std::max(pool.used_high, pool.used);
  }
  return data;
}

}  // namespace
}  // namespace gpu::runtime

using namespace gpu::runtime;

extern "C" {

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  return call([&](Runtime& r) {
    forbid_in_capture(r.context());
    *data = allocate(r.context(), bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaMallocPitch(void** data, std::size_t* pitch, std::size_t width, std::size_t rows) {
  return call([&](Runtime& r) {
    forbid_in_capture(r.context());
    *pitch = rounded(width, kPitch);
    *data = allocate(r.context(), *pitch * rows);
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
    Context& context = owner_of(r, data);
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

cudaError_t cudaMallocAsync(void** data, std::size_t bytes, cudaStream_t handle) {
  return call([&](Runtime& r) {
    Stream& stream = r.stream(handle);
    if (stream.capture) return cudaErrorStreamCaptureUnsupported;
    *data = allocate_from(*stream.context->pool, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaMallocFromPoolAsync(void** data, std::size_t bytes, cudaMemPool_t pool,
                                    cudaStream_t handle) {
  return call([&](Runtime& r) {
    if (r.stream(handle).capture) return cudaErrorStreamCaptureUnsupported;
    *data = allocate_from(pool_of(r, pool), bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaFreeAsync(void* data, cudaStream_t handle) {
  return call([&](Runtime& r) {
    if (data == nullptr) return cudaSuccess;
    Stream& stream = r.stream(handle);
    if (stream.capture) return cudaErrorStreamCaptureUnsupported;
    Context& context = owner_of(r, data);
    auto size = context.pooled.find(data);
    if (size != context.pooled.end()) {
      context.pool->used -= std::min<std::uint64_t>(context.pool->used, size->second);
      context.pooled.erase(size);
    }
    enqueue(stream, cudaGraphNodeTypeMemFree,
            [&context, data] { context.memory->release(reinterpret_cast<gpu::Address>(data)); });
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int ordinal) {
  return call([&](Runtime& r) {
    *pool = handle_of(*r.context(ordinal).pools[0]);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetMemPool(cudaMemPool_t* pool, int ordinal) {
  return call([&](Runtime& r) {
    *pool = handle_of(*r.context(ordinal).pool);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSetMemPool(int ordinal, cudaMemPool_t pool) {
  return call([&](Runtime& r) {
    r.context(ordinal).pool = &pool_of(r, pool);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t* pool, const cudaMemPoolProps* properties) {
  return call([&](Runtime& r) {
    if (properties->location.type != cudaMemLocationTypeDevice) return cudaErrorNotSupported;
    Context& context = r.context(properties->location.id);
    context.pools.push_back(std::make_unique<Pool>());
    context.pools.back()->context = &context;
    *pool = handle_of(*context.pools.back());
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t handle) {
  return call([&](Runtime& r) {
    Pool& pool = pool_of(r, handle);
    Context& context = *pool.context;
    if (&pool == context.pools[0].get()) return cudaErrorInvalidValue;
    if (context.pool == &pool) context.pool = context.pools[0].get();
    std::erase_if(context.pools, [&](const auto& each) { return each.get() == &pool; });
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t handle, std::size_t) {
  return call([&](Runtime& r) {
    pool_of(r, handle);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
  return call([&](Runtime& r) {
    Pool& pool = pool_of(r, handle);
    const bool flag = attribute == cudaMemPoolReuseFollowEventDependencies ||
                      attribute == cudaMemPoolReuseAllowOpportunistic ||
                      attribute == cudaMemPoolReuseAllowInternalDependencies;
    if (attribute == cudaMemPoolAttrUsedMemHigh) pool.used_high = pool.used;
    pool.attributes[attribute] = flag ? static_cast<std::uint64_t>(*static_cast<int*>(value))
                                      : *static_cast<std::uint64_t*>(value);
    return cudaSuccess;
  });
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t handle, cudaMemPoolAttr attribute, void* value) {
  return call([&](Runtime& r) {
    Pool& pool = pool_of(r, handle);
    auto found = pool.attributes.find(attribute);
    switch (attribute) {
      case cudaMemPoolReuseFollowEventDependencies:
      case cudaMemPoolReuseAllowOpportunistic:
      case cudaMemPoolReuseAllowInternalDependencies:
        *static_cast<int*>(value) =
            found == pool.attributes.end() ? 1 : static_cast<int>(found->second);
        break;
      case cudaMemPoolAttrReservedMemCurrent:
      case cudaMemPoolAttrUsedMemCurrent:
        *static_cast<std::uint64_t*>(value) = pool.used;
        break;
      case cudaMemPoolAttrReservedMemHigh:
      case cudaMemPoolAttrUsedMemHigh:
        *static_cast<std::uint64_t*>(value) = pool.used_high;
        break;
      default:
        *static_cast<std::uint64_t*>(value) = found == pool.attributes.end() ? 0 : found->second;
    }
    return cudaSuccess;
  });
}
}
