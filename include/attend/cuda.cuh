#pragma once

#include "cuda/launch/backward.cuh"
#include "cuda/launch/forward.cuh"

/// @file
/// The kernels. For one .cu file of a program; linking the CMake target attend::cuda adds it.
