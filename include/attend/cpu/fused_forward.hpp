#pragma once

/// @file
/// The fused path. For the moment it calls the math path.
#include "math_forward.hpp"
namespace attend::cpu {
template <class T, class V>
void fused_forward(const Problem& problem, const V& variant, const ForwardTensors<T>& tensors,
                   const Workers& workers) {
  math_forward(problem, variant, tensors, workers);
}
}  // namespace attend::cpu
