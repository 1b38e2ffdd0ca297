// Restarts the emulated GPU between tests.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "gpu/runtime/control.hpp"

namespace programs {

/// The device that tests see: emulated as asked, or the real one.
class Emulation {
 public:
  /// nullptr on a real GPU.
  gpu::Control* control() const { return control_; }

  void start(gpu::Capability capability, std::uint64_t seed, gpu::Patch patch = nullptr) {
    if (control_ == nullptr) return;
    gpu::RuntimeOptions options = original_;
    options.capabilities = {capability};
    options.launch.seed = seed;
    options.print_failures = print_failures;
    options.launch.step_limit = step_limit;
    control_->restart(options, std::move(patch));
  }
  ~Emulation() {
    if (control_ != nullptr) control_->restart(original_);
  }

  bool print_failures = true;
  std::uint64_t step_limit = 10'000'000;

 private:
  gpu::Control* control_ = gpu::emulated_control();
  gpu::RuntimeOptions original_ = control_ ? control_->options() : gpu::RuntimeOptions{};
};

}  // namespace programs
