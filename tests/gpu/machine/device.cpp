#include "gpu/machine/device.hpp"

#include <array>
#include <charconv>
#include <stdexcept>
#include <string>

namespace gpu {
namespace {

constexpr std::size_t kKiB = 1024;
constexpr std::size_t kMiB = 1024 * kKiB;
constexpr std::size_t kGiB = 1024 * kMiB;

constexpr std::array kDevices = {
    Device{.name = "Emulated GPU 7.5 (like a T4)",
           .capability = {7, 5},
           .sm_count = 40,
           .max_threads_per_sm = 1024,
           .max_blocks_per_sm = 16,
           .shared_per_block_optin = 64 * kKiB,
           .shared_per_sm = 64 * kKiB,
           .reserved_shared_per_block = 0,
           .l2_bytes = 4 * kMiB,
           .total_memory = 16 * kGiB,
           .clock_khz = 1'590'000,
           .memory_clock_khz = 5'001'000,
           .memory_bus_bits = 256},
    Device{.name = "Emulated GPU 8.0 (like an A100)",
           .capability = {8, 0},
           .sm_count = 108,
           .max_threads_per_sm = 2048,
           .max_blocks_per_sm = 32,
           .shared_per_block_optin = 163 * kKiB,
           .shared_per_sm = 164 * kKiB,
           .l2_bytes = 40 * kMiB,
           .total_memory = 40 * kGiB,
           .clock_khz = 1'410'000,
           .memory_clock_khz = 1'215'000,
           .memory_bus_bits = 5120},
    Device{.name = "Emulated GPU 8.6 (like an A10)",
           .capability = {8, 6},
           .sm_count = 72,
           .max_threads_per_sm = 1536,
           .max_blocks_per_sm = 16,
           .shared_per_block_optin = 99 * kKiB,
           .shared_per_sm = 100 * kKiB,
           .l2_bytes = 6 * kMiB,
           .total_memory = 24 * kGiB,
           .clock_khz = 1'695'000,
           .memory_clock_khz = 6'251'000,
           .memory_bus_bits = 384},
    Device{.name = "Emulated GPU 9.0 (like an H100)",
           .capability = {9, 0},
           .sm_count = 132,
           .max_threads_per_sm = 2048,
           .max_blocks_per_sm = 32,
           .shared_per_block_optin = 227 * kKiB,
           .shared_per_sm = 228 * kKiB,
           .l2_bytes = 50 * kMiB,
           .total_memory = 80 * kGiB,
           .clock_khz = 1'980'000,
           .memory_clock_khz = 2'619'000,
           .memory_bus_bits = 5120,
           .max_cluster_size = 8},
    Device{.name = "Emulated GPU 12.0 (like an RTX 5090)",
           .capability = {12, 0},
           .sm_count = 170,
           .max_threads_per_sm = 1536,
           .max_blocks_per_sm = 24,
           .shared_per_block_optin = 99 * kKiB,
           .shared_per_sm = 100 * kKiB,
           .l2_bytes = 96 * kMiB,
           .total_memory = 32 * kGiB,
           .clock_khz = 2'407'000,
           .memory_clock_khz = 14'001'000,
           .memory_bus_bits = 512,
           .max_cluster_size = 8},
};

}  // namespace

std::span<const Device> devices() { return kDevices; }

const Device& device(Capability capability) {
  std::string known;
  for (const Device& d : kDevices) {
    if (d.capability == capability) return d;
    known += (known.empty() ? "" : ", ") + std::to_string(d.capability.major) + "." +
             std::to_string(d.capability.minor);
  }
  throw std::invalid_argument("no emulated device of capability " +
                              std::to_string(capability.major) + "." +
                              std::to_string(capability.minor) + "; there are " + known);
}

Capability parse_capability(std::string_view text) {
  Capability capability;
  const char* const end = text.data() + text.size();
  const auto [dot, error] = std::from_chars(text.data(), end, capability.major);
  if (error == std::errc{} && dot != end && *dot == '.') {
    const auto [last, second] = std::from_chars(dot + 1, end, capability.minor);
    if (second == std::errc{} && last == end) return capability;
  }
  throw std::invalid_argument("'" + std::string(text) + "' is no compute capability (like 8.6)");
}

}  // namespace gpu
