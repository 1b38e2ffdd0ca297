#pragma once

#include "../core/config.hpp"
#include "fused_backward.hpp"
#include "fused_forward.hpp"
#include "math_backward.hpp"
#include "math_forward.hpp"

/// @file
/// The host's paths. Each program compiles what it uses of them, or links the library
/// `attend::compiled` that holds them all, for the four element types (ATTEND_COMPILED is then
/// defined). Code of the user's functions is compiled with the user either way.

#if defined(ATTEND_COMPILED)
ATTEND_HOST_PATHS(extern template, float)
ATTEND_HOST_PATHS(extern template, double)
ATTEND_HOST_PATHS(extern template, Eigen::half)
ATTEND_HOST_PATHS(extern template, Eigen::bfloat16)
#endif
