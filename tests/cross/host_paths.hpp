// Every path that runs on the host, by name.
#pragma once

#include <attend/cpu/math_forward.hpp>
#include <string>
#include <vector>

#include "support/sample.hpp"

namespace cross {

template <class T>
struct NamedPath {
  std::string name;
  support::ForwardPath<T> run;
};

template <class T>
std::vector<NamedPath<T>> host_paths() {
  return {
      {"math",
       [](const auto& problem, const auto& variant, const auto& tensors) {
         attend::cpu::math_forward<T>(problem, variant, tensors,
                                      attend::cpu::SharedPool::instance().workers());
       }},
  };
}

}  // namespace cross
