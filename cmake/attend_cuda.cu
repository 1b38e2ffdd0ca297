// The kernels of attend, compiled into each target that links attend::cuda.
#include <attend/cuda.cuh>
#include <attend/cuda/instances.cuh>
