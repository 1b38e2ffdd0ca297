// libFuzzer for the PTX parser: any text is read or refused with a ParseError, nothing else.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gpu/machine/module.hpp"
#include "gpu/ptx/ast.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    gpu::ptx::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const gpu::ParseError&) {
  }
  return 0;
}
