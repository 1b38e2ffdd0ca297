// Memory pools, allocation and release in the order of a stream.
#include <cuda_runtime_api.h>

#include <algorithm>

#include "gpu/runtime/graph_memory.hpp"
#include "gpu/runtime/runtime.hpp"

namespace gpu::runtime {
namespace {

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
  void* data = pool.context->allocate(bytes);
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

cudaError_t cudaMallocAsync(void** data, std::size_t bytes, cudaStream_t handle) {
  return call([&](Runtime& r) {
    Stream& stream = r.stream(handle);
    *data = stream.capture ? capture_allocation(stream, *stream.context, bytes)
                           : allocate_from(*stream.context->pool, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaMallocFromPoolAsync(void** data, std::size_t bytes, cudaMemPool_t pool,
                                    cudaStream_t handle) {
  return call([&](Runtime& r) {
    Stream& stream = r.stream(handle);
    Pool& from = pool_of(r, pool);
    *data = stream.capture ? capture_allocation(stream, *from.context, bytes)
                           : allocate_from(from, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaFreeAsync(void* data, cudaStream_t handle) {
  return call([&](Runtime& r) {
    if (data == nullptr) return cudaSuccess;
    Stream& stream = r.stream(handle);
    if (stream.capture) {
      capture_free(r, stream, data);
      return cudaSuccess;
    }
    Context& context = *owner_of_free(r, data);
    auto size = context.pooled.find(data);
    if (size != context.pooled.end()) {
      context.pool->used -= std::min<std::uint64_t>(context.pool->used, size->second);
      context.pooled.erase(size);
    }
    enqueue(stream, cudaGraphNodeTypeMemFree, releasing(context, data));
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
