// Compiled for 9.0 alone.
#include "../tasks.hpp"

__global__ void hopper_only_kernel() {}

namespace programs {

cudaError_t launch_hopper_only() {
  hopper_only_kernel<<<1, 32>>>();
  return cudaGetLastError();
}

}  // namespace programs
