// Every path that runs on the host, by name: math, and fused with each tile engine.
#pragma once

#include <attend/cpu/instances.hpp>
#include <set>
#include <string>
#include <vector>

#include "support/sample.hpp"

namespace cross {

/// The engines that this processor has and that have operations of their own for the type.
template <class T>
std::vector<attend::cpu::Engine> engines_of() {
  std::vector<attend::cpu::Engine> engines;
  std::set<std::string> seen;
  for (const attend::cpu::Engine engine : attend::cpu::available_engines())
    if (seen.insert(attend::cpu::kernels_of<T>(engine).name).second) engines.push_back(engine);
  return engines;
}

template <class T>
struct NamedPath {
  std::string name;
  support::ForwardPath<T> run;
};

template <class T>
std::vector<NamedPath<T>> host_paths() {
  using attend::cpu::Engine;
  const auto workers = [] { return attend::cpu::SharedPool::instance().workers(); };
  std::vector<NamedPath<T>> paths = {
      {"math", [=](const auto& problem, const auto& variant, const auto& tensors) {
         attend::cpu::math_forward<T>(problem, variant, tensors, workers());
       }}};
  for (const Engine engine : engines_of<T>()) {
    paths.push_back({std::string("fused, ") + name(engine),
                     [=](const auto& problem, const auto& variant, const auto& tensors) {
                       const attend::cpu::EngineOverride override(engine);
                       attend::cpu::fused_forward<T>(problem, variant, tensors, workers());
                     }});
  }
  return paths;
}

}  // namespace cross
