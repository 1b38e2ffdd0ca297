#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "choose.hpp"

/// @file
/// One line per device, once: which path its calls take, and why. The library prints nothing unless
/// asked to.

namespace attend {

/// Receives one line, without a line end.
using Logger = std::function<void(const std::string& line)>;

/// Who is told, and which devices were told of already.
class Log {
 public:
  /// The process's one instance. `ATTEND_LOG=1` in the environment logs to stderr.
  static Log& instance() {
    static Log log;
    return log;
  }

  /// An empty logger turns logging off. Devices that were told of are told of again.
  void set_logger(Logger logger) {
    const std::lock_guard<std::mutex> lock(mutex_);
    logger_ = std::move(logger);
    told_.clear();
  }

  /// Tells of a device's first choice; later ones are passed over.
  void choice(const std::string& device, const Choice& choice) {
    Logger logger;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!logger_ || std::find(told_.begin(), told_.end(), device) != told_.end()) return;
      told_.push_back(device);
      logger = logger_;
    }
    logger("attend: " + device + ": " + name(choice.path) + " path: " + choice.reason);
  }

 private:
  Log() {
    const char* wanted = std::getenv("ATTEND_LOG");
    if (wanted != nullptr && std::string(wanted) == "1")
      logger_ = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  }

  std::mutex mutex_;
  Logger logger_;
  std::vector<std::string> told_;
};

/// Sets who is told, once per device, which path calls take and why; an empty function turns it
/// off. The logger is called on the thread of the call.
inline void set_logger(Logger logger) { Log::instance().set_logger(std::move(logger)); }

}  // namespace attend
