#pragma once

#include "cuda/launch/backward.cuh"
#include "cuda/launch/forward.cuh"
#include "cuda/launch/functors.cuh"

/// @file
/// The kernels, and `cuda::functors`, for a .cu file that has a score_mod or a mask_mod of its own.
/// The CMake target attend::cuda adds the .cu file of the kernels without one. The two share no
/// kernel (each is a template of the variant it serves), so each is compiled for the architectures
/// that its own program asks for.
