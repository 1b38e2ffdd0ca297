#pragma once

#include "cuda/launch/backward.cuh"
#include "cuda/launch/forward.cuh"
#include "cuda/launch/functors.cuh"

/// @file
/// The kernels, and `cuda::functors`, for a .cu file that has a score_mod or a mask_mod of its own.
/// The CMake target attend::cuda adds the .cu file of the kernels without one. Compile both for the
/// same architectures: steps that no function takes part in are kernels that they share.
