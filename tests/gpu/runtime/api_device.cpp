// Devices: how many, which, their properties.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

#include "gpu/runtime/runtime.hpp"

namespace gpu::runtime {
namespace {

constexpr int kVersion = 13000;
constexpr int kMaxGridX = 2147483647;
constexpr int kMaxGridYZ = 65535;
constexpr int kMaxBlockZ = 64;

int attribute_of(const Context& context, cudaDeviceAttr attribute) {
  const Device& d = context.device;
  auto to_int = [](std::size_t value) { return static_cast<int>(value); };
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
      return d.max_threads_per_block;
    case cudaDevAttrMaxBlockDimZ:
      return kMaxBlockZ;
    case cudaDevAttrMaxGridDimX:
      return kMaxGridX;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
      return kMaxGridYZ;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return to_int(d.shared_per_block);
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return to_int(d.shared_per_block_optin);
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return to_int(d.shared_per_sm);
    case cudaDevAttrReservedSharedMemoryPerBlock:
      return to_int(d.reserved_shared_per_block);
    case cudaDevAttrTotalConstantMemory:
      return 65536;
    case cudaDevAttrWarpSize:
      return d.warp_size;
    case cudaDevAttrMaxRegistersPerBlock:
      return d.registers_per_block;
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      return d.registers_per_sm;
    case cudaDevAttrClockRate:
      return d.clock_khz;
    case cudaDevAttrMemoryClockRate:
      return d.memory_clock_khz;
    case cudaDevAttrGlobalMemoryBusWidth:
      return d.memory_bus_bits;
    case cudaDevAttrL2CacheSize:
      return to_int(d.l2_bytes);
    case cudaDevAttrMultiProcessorCount:
      return d.sm_count;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return d.max_threads_per_sm;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      return d.max_blocks_per_sm;
    case cudaDevAttrComputeCapabilityMajor:
      return d.capability.major;
    case cudaDevAttrComputeCapabilityMinor:
      return d.capability.minor;
    case cudaDevAttrClusterLaunch:
      return d.max_cluster_size > 1;
    case cudaDevAttrMaxPitch:
      return 2147483647;
    case cudaDevAttrTextureAlignment:
      return 512;
    case cudaDevAttrPciBusId:
      return context.ordinal + 1;
    case cudaDevAttrAsyncEngineCount:
      return 2;
    case cudaDevAttrGpuOverlap:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrGlobalL1CacheSupported:
    case cudaDevAttrLocalL1CacheSupported:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrComputePreemptionSupported:
    case cudaDevAttrCanUseHostPointerForRegisteredMem:
    case cudaDevAttrCooperativeLaunch:
    case cudaDevAttrHostRegisterSupported:
    case cudaDevAttrMemoryPoolsSupported:
      return 1;
    default:
      return 0;
  }
}

}  // namespace
}  // namespace gpu::runtime

using namespace gpu::runtime;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  return call_always([&](Runtime& r) {
    *count = static_cast<int>(r.contexts.size());
    return *count == 0 ? cudaErrorNoDevice : cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* ordinal) {
  return call_always([&](Runtime& r) {
    *ordinal = r.context().ordinal;
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int ordinal) {
  return call_always([&](Runtime& r) {
    thread_state().device = r.context(ordinal).ordinal;
    return r.context().sticky;
  });
}

cudaError_t cudaInitDevice(int ordinal, unsigned, unsigned) {
  return call_always([&](Runtime& r) { return r.context(ordinal).sticky; });
}

cudaError_t cudaSetDeviceFlags(unsigned) {
  return call([](Runtime&) { return cudaSuccess; });
}

cudaError_t cudaGetDeviceFlags(unsigned* flags) {
  return call([&](Runtime&) {
    *flags = cudaDeviceScheduleAuto;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int ordinal) {
  return call_always([&](Runtime& r) {
    *value = attribute_of(r.context(ordinal), attribute);
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int ordinal) {
  return call_always([&](Runtime& r) {
    const Context& context = r.context(ordinal);
    const gpu::Device& d = context.device;
    auto is = [&](cudaDeviceAttr attribute) { return attribute_of(context, attribute); };
    *p = {};
    std::strncpy(p->name, std::string(d.name).c_str(), sizeof(p->name) - 1);
    p->uuid.bytes[0] = static_cast<char>(ordinal + 1);
    p->totalGlobalMem = d.total_memory;
    p->sharedMemPerBlock = d.shared_per_block;
    p->sharedMemPerBlockOptin = d.shared_per_block_optin;
    p->sharedMemPerMultiprocessor = d.shared_per_sm;
    p->reservedSharedMemPerBlock = d.reserved_shared_per_block;
    p->regsPerBlock = d.registers_per_block;
    p->regsPerMultiprocessor = d.registers_per_sm;
    p->warpSize = d.warp_size;
    p->memPitch = static_cast<std::size_t>(is(cudaDevAttrMaxPitch));
    p->maxThreadsPerBlock = d.max_threads_per_block;
    p->maxThreadsPerMultiProcessor = d.max_threads_per_sm;
    p->maxBlocksPerMultiProcessor = d.max_blocks_per_sm;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = d.max_threads_per_block;
    p->maxThreadsDim[2] = kMaxBlockZ;
    p->maxGridSize[0] = kMaxGridX;
    p->maxGridSize[1] = p->maxGridSize[2] = kMaxGridYZ;
    p->totalConstMem = 65536;
    p->major = d.capability.major;
    p->minor = d.capability.minor;
    p->textureAlignment = 512;
    p->multiProcessorCount = d.sm_count;
    p->memoryBusWidth = d.memory_bus_bits;
    p->l2CacheSize = static_cast<int>(d.l2_bytes);
    p->pciBusID = is(cudaDevAttrPciBusId);
    p->asyncEngineCount = is(cudaDevAttrAsyncEngineCount);
    p->clusterLaunch = is(cudaDevAttrClusterLaunch);
    p->canMapHostMemory = p->unifiedAddressing = p->concurrentKernels = 1;
    p->streamPrioritiesSupported = p->managedMemory = p->cooperativeLaunch = 1;
    p->globalL1CacheSupported = p->localL1CacheSupported = 1;
    p->canUseHostPointerForRegisteredMem = p->hostRegisterSupported = 1;
    p->computePreemptionSupported = p->memoryPoolsSupported = 1;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return call([](Runtime& r) {
    forbid_in_capture(r.context());
    r.schedule->finish_all(r.context());
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceReset() {
  return call_always([](Runtime& r) {
    Context& old = r.context();
    const int ordinal = old.ordinal;
    r.schedule->finish_all(old);
    const auto is_old = [&](const auto& each) { return each->context == &old; };
    std::erase_if(r.events, is_old);
    std::erase_if(r.graphs, is_old);
    std::erase_if(r.executables, is_old);
    auto fresh = std::make_unique<Context>(old.device, ordinal);
    for (const auto& [address, block] : r.host_blocks) {
      fresh->memory->adopt(block.data, block.bytes, gpu::Residence::host, "host memory");
    }
    r.contexts[static_cast<std::size_t>(ordinal)] = std::move(fresh);
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return call([&](Runtime&) {
    if (least != nullptr) *least = 0;
    if (greatest != nullptr) *greatest = -5;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetLimit(std::size_t* value, cudaLimit limit) {
  return call([&](Runtime& r) {
    auto found = r.context().device_limits.find(limit);
    const std::size_t standard = limit == cudaLimitStackSize ? 1024 : std::size_t{1} << 20;
    *value = found == r.context().device_limits.end() ? standard : found->second;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSetLimit(cudaLimit limit, std::size_t value) {
  return call([&](Runtime& r) {
    r.context().device_limits[limit] = value;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  return call_always([&](Runtime& r) {
    r.context(device);
    r.context(peer);
    *can = 0;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int ordinal) {
  return call_always([&](Runtime& r) {
    std::snprintf(text, static_cast<std::size_t>(length), "0000:%02x:00.0",
                  r.context(ordinal).ordinal + 1);
    return cudaSuccess;
  });
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}

cudaError_t cudaProfilerStart() { return cudaSuccess; }
cudaError_t cudaProfilerStop() { return cudaSuccess; }

// There is no driver underneath: no entry point is ever found.
cudaError_t cudaGetDriverEntryPointByVersion(const char*, void** function, unsigned,
                                             unsigned long long,
                                             cudaDriverEntryPointQueryResult* status) {
  *function = nullptr;
  if (status != nullptr) *status = cudaDriverEntryPointSymbolNotFound;
  return cudaSuccess;
}

cudaError_t cudaGetDriverEntryPoint(const char*, void** function, unsigned long long,
                                    cudaDriverEntryPointQueryResult* status) {
  return cudaGetDriverEntryPointByVersion(nullptr, function, 0, 0, status);
}
}
