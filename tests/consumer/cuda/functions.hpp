#pragma once

#include <attend/cuda/launch/functors.hpp>

/// Doubles scores; queries see the first keys, `count` of them.
attend::cuda::Functors<float> first_keys(int count);
