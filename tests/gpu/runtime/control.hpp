#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gpu/machine/counts.hpp"
#include "gpu/machine/device.hpp"
#include "gpu/machine/launch.hpp"
#include "gpu/machine/report.hpp"

namespace gpu {

/// What the emulated runtime does; read from the environment at the first call of a process.
struct RuntimeOptions {
  std::vector<Capability> capabilities{{8, 0}};  ///< one device each: ATTEND_EMULATED_CAPABILITY
  LaunchOptions launch;                          ///< .seed: ATTEND_EMULATED_SEED;
                                                 ///< .keep_going: ATTEND_EMULATED_KEEP_GOING=1
  bool print_counts = false;                     ///< a table per launch: ATTEND_EMULATED_COUNTS=1
  bool print_failures = true;                    ///< reports go to standard error
};

/// One kernel launch that was executed.
struct LaunchRecord {
  std::string kernel;  ///< demangled
  Counts counts;
};

/// A change of PTX text before it is read, for tests that plant bugs.
using Patch = std::function<std::string(const std::string& ptx)>;

/// What a test may ask of the emulated runtime beyond CUDA. Test and runtime have to be built by
/// the same compiler.
class Control {
 public:
  virtual RuntimeOptions options() const = 0;
  /// Starts anew: all devices, allocations, streams and errors are gone, as after a process start.
  virtual void restart(const RuntimeOptions& options) = 0;
  /// The same, and modules are read through `patch` from now on (none: as they are).
  virtual void restart(const RuntimeOptions& options, Patch patch) = 0;
  /// Failures since the last call, oldest first.
  virtual std::vector<Report> take_failures() = 0;
  /// Launches since the last call, oldest first (at most the 10000 latest).
  virtual std::vector<LaunchRecord> take_launches() = 0;

 protected:
  ~Control() = default;
};

/// The emulated runtime's control, or nullptr where the process runs on NVIDIA's own runtime.
inline Control* emulated_control() {
  using Get = Control* (*)();
  auto get = reinterpret_cast<Get>(dlsym(RTLD_DEFAULT, "attend_emulated_control"));
  return get == nullptr ? nullptr : get();
}

}  // namespace gpu
