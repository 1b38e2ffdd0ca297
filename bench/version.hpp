// What was measured.
#pragma once

#include <attend/version.hpp>
#include <string>

namespace bench {

/// "0.1.0, g++ 12.2.0": the library's version and the compiler's.
inline std::string version() {
#ifdef __clang__
  constexpr char kCompiler[] = __VERSION__;
#else
  constexpr char kCompiler[] = "g++ " __VERSION__;
#endif
  return std::to_string(ATTEND_VERSION_MAJOR) + "." + std::to_string(ATTEND_VERSION_MINOR) + "." +
         std::to_string(ATTEND_VERSION_PATCH) + ", " + kCompiler;
}

}  // namespace bench
