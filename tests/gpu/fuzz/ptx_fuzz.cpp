// libFuzzer for what reads PTX: any text is loaded or refused with an error, and what was loaded
// can be launched: a kernel may fail, but only with a report.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "gpu/machine/launch.hpp"

namespace {

/// One small block, for a few instructions. All parameters are the address of the same memory.
void launch(const gpu::Kernel& kernel, gpu::Address data) {
  const gpu::Device& device = gpu::device({9, 0});
  const gpu::LaunchConfig config{.block = {40, 1, 1}};
  if (gpu::refuse(device, kernel, config, 0)) return;
  std::vector<std::byte> parameters(kernel.parameter_bytes);
  for (std::size_t at = 0; at + sizeof data <= parameters.size(); at += sizeof data) {
    std::memcpy(&parameters[at], &data, sizeof data);
  }
  gpu::launch(
      device, kernel, config, parameters,
      {.keep_going = true, .step_limit = 1000, .threads = 1, .print = [](std::string_view) {}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    gpu::Memory memory(1 << 20);
    const auto module =
        gpu::Module::load(std::string(reinterpret_cast<const char*>(data), size), memory);
    const gpu::Address scratch = memory.allocate(1024, "scratch");
    memory.fill(scratch, 0, 1024);
    for (const gpu::Kernel* kernel : module->kernels()) launch(*kernel, scratch);
  } catch (const gpu::ParseError&) {
  } catch (const gpu::OutOfMemory&) {
  }
  return 0;
}
