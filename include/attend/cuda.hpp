#pragma once

#include "cuda/launch/device.hpp"
#include "cuda/launch/stream.hpp"
#include "cuda/place.hpp"
#include "cuda/tensor.hpp"
#include "cuda/view.hpp"

/// @file
/// Attention on CUDA devices: tensors, views and streams, in plain C++. Include it beside
/// attend/attend.hpp and link the CMake target attend::cuda, which brings the kernels.

/// Tensors and streams of CUDA devices.
namespace attend::cuda {}
