// What nvcc's host code calls before main() and around <<<...>>>.
#include <cuda_runtime_api.h>

#include "gpu/runtime/runtime.hpp"

namespace gpu::runtime {
namespace {

// How nvcc wraps a fat binary: magic, version, the data.
struct FatBinaryWrapper {
  int magic;
  int version;
  const void* data;
  const void* file;
};

struct CallConfiguration {
  dim3 grid, block;
  std::size_t shared_bytes;
  cudaStream_t stream;
};

std::vector<CallConfiguration>& call_configurations() {
  thread_local std::vector<CallConfiguration> stack;
  return stack;
}

}  // namespace
}  // namespace gpu::runtime

using namespace gpu::runtime;

extern "C" {

void** __cudaRegisterFatBinary(void* wrapper) {
  std::lock_guard lock(runtime().mutex);
  const auto* fat = static_cast<const FatBinaryWrapper*>(wrapper);
  return reinterpret_cast<void**>(&runtime().registry.add_binary(fat->data));
}

void __cudaRegisterFatBinaryEnd(void**) {}

void __cudaUnregisterFatBinary(void** handle) {
  std::lock_guard lock(runtime().mutex);
  const auto* binary = reinterpret_cast<const Binary*>(handle);
  for (const auto& context : runtime().contexts) context->modules.erase(binary);
  runtime().registry.remove(binary);
}

void __cudaRegisterFunction(void** handle, const char* stub, char*, const char* name, int, uint3*,
                            uint3*, dim3*, dim3*, int*) {
  std::lock_guard lock(runtime().mutex);
  runtime().registry.add_function(*reinterpret_cast<const Binary*>(handle), stub, name);
}

void __cudaRegisterVar(void** handle, char* host, char*, const char* name, int, std::size_t bytes,
                       int, int) {
  std::lock_guard lock(runtime().mutex);
  runtime().registry.add_variable(*reinterpret_cast<const Binary*>(handle), host, name, bytes);
}

// The host reads managed variables through a pointer of its own, which stays null here.
void __cudaRegisterManagedVar(void**, void**, char*, const char* name, int, std::size_t, int, int) {
  std::fprintf(stderr, "emulated GPU: __managed__ variables are not supported (%s)\n", name);
}

char __cudaInitModule(void**) { return 1; }

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared_bytes,
                                     cudaStream_t stream) {
  call_configurations().push_back({grid, block, shared_bytes, stream});
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared_bytes,
                                       void* stream) {
  auto& stack = call_configurations();
  if (stack.empty()) return cudaErrorMissingConfiguration;
  *grid = stack.back().grid;
  *block = stack.back().block;
  *shared_bytes = stack.back().shared_bytes;
  *static_cast<cudaStream_t*>(stream) = stack.back().stream;
  stack.pop_back();
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* stub) {
  return call_always([&](Runtime& r) {
    const HostFunction* function = r.registry.function(stub);
    if (function == nullptr) return cudaErrorInvalidDeviceFunction;
    *kernel = reinterpret_cast<cudaKernel_t>(const_cast<HostFunction*>(function));
    return cudaSuccess;
  });
}

cudaError_t cudaGetKernel(cudaKernel_t* kernel, const void* stub) {
  return __cudaGetKernel(kernel, stub);
}

cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments,
                               std::size_t shared_bytes, cudaStream_t stream) {
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, arguments,
                          shared_bytes, stream);
}
}
