#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

/// @file
/// What the library throws: before anything is written, except when memory or the device fails
/// during a call. A message names the argument, what it was and what was expected.

namespace attend {

/// Base of all errors of this library.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A tensor's extents or strides do not fit the others.
class shape_error : public error {
 public:
  using error::error;
};

/// An argument's value is outside what is legal (dropout 1.5, a null pointer, a key length past the
/// keys).
class value_error : public error {
 public:
  using error::error;
};

/// A path that was forced cannot take the problem.
class unsupported_error : public error {
 public:
  /// `what` says which path was asked for; the reasons follow it in the message.
  unsupported_error(const std::string& what, std::vector<std::string> reasons)
      : error(what + joined(reasons)), reasons_(std::move(reasons)) {}

  /// Every reason, one string each; never empty.
  const std::vector<std::string>& reasons() const { return reasons_; }

 private:
  static std::string joined(const std::vector<std::string>& reasons) {
    std::string text;
    for (const std::string& reason : reasons) text += (text.empty() ? ": " : "; ") + reason;
    return text;
  }

  std::vector<std::string> reasons_;
};

/// The host has no memory for a result, or for what a path keeps beside it. Results that were
/// written may be so in part.
class memory_error : public error {
 public:
  using error::error;
};

/// A call of the device runtime failed.
class device_error : public error {
 public:
  /// `call` as written in the source, the runtime's `code` and its `text` for it.
  device_error(const std::string& call, int code, const std::string& text)
      : error(call + " failed with code " + std::to_string(code) + ": " + text),
        call_(call),
        code_(code) {}

  /// The call that failed.
  const std::string& call() const { return call_; }
  /// The runtime's error code.
  int code() const { return code_; }

 private:
  std::string call_;
  int code_;
};

}  // namespace attend
