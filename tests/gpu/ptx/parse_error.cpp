#include <string>

#include "gpu/machine/module.hpp"

namespace gpu {

ParseError::ParseError(int line, const std::string& message)
    : std::runtime_error("PTX line " + std::to_string(line) + ": " + message), line_(line) {}

}  // namespace gpu
