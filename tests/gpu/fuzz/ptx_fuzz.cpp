// libFuzzer for the PTX front end: any text is read or refused with a ParseError, nothing else.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gpu/machine/memory.hpp"
#include "gpu/machine/module.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    gpu::Memory memory(std::size_t{1} << 20);
    gpu::Module::load(text, memory);
  } catch (const gpu::ParseError&) {
  } catch (const gpu::OutOfMemory&) {  // a variable larger than the memory
  }
  return 0;
}
