// Launches, function attributes, occupancy.
#include <cuda_runtime_api.h>

#include <algorithm>

#include "gpu/runtime/runtime.hpp"

namespace gpu::runtime {
namespace {

const HostFunction& function_of(const Runtime& r, const void* stub) {
  const HostFunction* function = r.registry.function(stub);
  if (function == nullptr) fail(cudaErrorInvalidDeviceFunction, "not a kernel of this program");
  return *function;
}

Dim3 to_dim(dim3 d) { return {d.x, d.y, d.z}; }

cudaError_t launch(const void* stub, const LaunchConfig& config, void** arguments,
                   cudaStream_t handle) {
  return call([&](Runtime& r) {
    Stream& stream = r.stream(handle);
    if (stream.context != &r.context()) {
      fail(cudaErrorInvalidResourceHandle, "the stream belongs to another device");
    }
    stream.context->launch(function_of(r, stub), config, arguments, stream);
    return cudaSuccess;
  });
}

int occupancy(Runtime& r, const void* stub, int threads, std::size_t dynamic) {
  if (threads <= 0) fail(cudaErrorInvalidValue);
  Context& context = r.context();
  const HostFunction& function = function_of(r, stub);
  const Kernel& kernel = context.kernel(function);
  return resident_blocks_per_sm(context.device, kernel, threads, dynamic);
}

}  // namespace
}  // namespace gpu::runtime

using namespace gpu::runtime;

extern "C" {

cudaError_t cudaLaunchKernel(const void* function, dim3 grid, dim3 block, void** arguments,
                             std::size_t shared_bytes, cudaStream_t stream) {
  gpu::LaunchConfig config{to_dim(grid), to_dim(block), {}, shared_bytes, false};
  return launch(function, config, arguments, stream);
}

cudaError_t cudaLaunchCooperativeKernel(const void* function, dim3 grid, dim3 block,
                                        void** arguments, std::size_t shared_bytes,
                                        cudaStream_t stream) {
  gpu::LaunchConfig config{to_dim(grid), to_dim(block), {}, shared_bytes, true};
  return launch(function, config, arguments, stream);
}

cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t* wanted, const void* function,
                                void** arguments) {
  if (wanted == nullptr) return call([](Runtime&) { return cudaErrorInvalidValue; });
  gpu::LaunchConfig config{
      to_dim(wanted->gridDim), to_dim(wanted->blockDim), {}, wanted->dynamicSmemBytes, false};
  for (unsigned i = 0; i < wanted->numAttrs; ++i) {
    const cudaLaunchAttribute& attribute = wanted->attrs[i];
    if (attribute.id == cudaLaunchAttributeCooperative) {
      config.cooperative = attribute.val.cooperative != 0;
    } else if (attribute.id == cudaLaunchAttributeClusterDimension) {
      config.cluster = {attribute.val.clusterDim.x, attribute.val.clusterDim.y,
                        attribute.val.clusterDim.z};
    }  // the others (priorities, overlap of kernels) change no result
  }
  return launch(function, config, arguments, wanted->stream);
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* stub) {
  return call([&](Runtime& r) {
    Context& context = r.context();
    const HostFunction& function = function_of(r, stub);
    const gpu::Kernel& kernel = context.kernel(function);
    gpu::Capability target = kernel.module->target();
    gpu::Capability own = context.device.capability;
    *attributes = {};
    attributes->sharedSizeBytes = kernel.static_shared_bytes;
    attributes->localSizeBytes = kernel.local_bytes;
    attributes->maxThreadsPerBlock = kernel.max_threads_per_block();
    attributes->numRegs = kernel.registers;
    attributes->ptxVersion = target.major * 10 + target.minor;
    attributes->binaryVersion = own.major * 10 + own.minor;
    attributes->maxDynamicSharedSizeBytes =
        static_cast<int>(context.shared_limit(function, kernel) - kernel.static_shared_bytes);
    attributes->preferredShmemCarveout = context.limits[&function].carveout;
    attributes->requiredClusterWidth = kernel.required_cluster[0];
    attributes->requiredClusterHeight = kernel.required_cluster[1];
    attributes->requiredClusterDepth = kernel.required_cluster[2];
    return cudaSuccess;
  });
}

cudaError_t cudaFuncSetAttribute(const void* stub, cudaFuncAttribute attribute, int value) {
  return call([&](Runtime& r) {
    Context& context = r.context();
    const HostFunction& function = function_of(r, stub);
    const gpu::Kernel& kernel = context.kernel(function);
    FunctionLimits& limits = context.limits[&function];
    switch (attribute) {
      case cudaFuncAttributeMaxDynamicSharedMemorySize:
        if (value < 0 || kernel.static_shared_bytes + static_cast<std::size_t>(value) >
                             context.device.shared_per_block_optin) {
          fail(cudaErrorInvalidValue, std::to_string(value) + " bytes of dynamic and " +
                                          std::to_string(kernel.static_shared_bytes) +
                                          " of static shared memory; the device has " +
                                          std::to_string(context.device.shared_per_block_optin) +
                                          " per block");
        }
        limits.dynamic_shared = static_cast<std::size_t>(value);
        return cudaSuccess;
      case cudaFuncAttributePreferredSharedMemoryCarveout:
        if (value < -1 || value > 100) return cudaErrorInvalidValue;
        limits.carveout = value;
        return cudaSuccess;
      case cudaFuncAttributeNonPortableClusterSizeAllowed:
        limits.non_portable_cluster = value != 0;
        return cudaSuccess;
      default:
        return cudaErrorInvalidValue;
    }
  });
}

cudaError_t cudaFuncSetCacheConfig(const void* stub, cudaFuncCache) {
  return call([&](Runtime& r) {
    function_of(r, stub);
    return cudaSuccess;
  });
}

cudaError_t cudaFuncGetName(const char** name, const void* stub) {
  return call([&](Runtime& r) {
    *name = function_of(r, stub).name.c_str();
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* stub,
                                                          int threads, std::size_t dynamic) {
  return call([&](Runtime& r) {
    *blocks = occupancy(r, stub, threads, dynamic);
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void* stub,
                                                                   int threads, std::size_t dynamic,
                                                                   unsigned) {
  return cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, stub, threads, dynamic);
}

cudaError_t cudaOccupancyAvailableDynamicSMemPerBlock(std::size_t* bytes, const void* stub,
                                                      int blocks, int) {
  return call([&](Runtime& r) {
    if (blocks <= 0) return cudaErrorInvalidValue;
    Context& context = r.context();
    const gpu::Kernel& kernel = context.kernel(function_of(r, stub));
    const gpu::Device& device = context.device;
    std::size_t taken = kernel.static_shared_bytes + device.reserved_shared_per_block;
    std::size_t share = device.shared_per_sm / static_cast<std::size_t>(blocks);
    std::size_t most = device.shared_per_block_optin - kernel.static_shared_bytes;
    *bytes = share < taken ? 0 : std::min(most, share - taken);
    return cudaSuccess;
  });
}
}
