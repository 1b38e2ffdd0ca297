#include "gpu/ops/print.hpp"

#include <cstdio>
#include <cstring>

#include "gpu/ops/access.hpp"

namespace gpu::ops {
namespace {

u64 read_bytes(Warp& w, u32 lane, u64 address, u32 bytes) {
  std::array<u64, 32> addresses{};
  addresses[lane] = address;
  Access access;
  resolve_at(w, ptx::Space::generic, addresses, 1u << lane, bytes, 1, Intent::read, access);
  u64 value = 0;
  if (access.lanes != 0) std::memcpy(&value, access.data[lane], bytes);
  return value;
}

}  // namespace

std::string read_text(Warp& w, u32 lane, u64 address) {
  std::string text;
  while (text.size() < 4096) {
    const char c = static_cast<char>(read_bytes(w, lane, address + text.size(), 1));
    if (c == '\0') break;
    text += c;
  }
  return text;
}

std::string formatted(Warp& w, u32 lane, u64 format_address, u64 arguments) {
  const std::string format = read_text(w, lane, format_address);
  std::string out;
  u64 at = arguments;
  const auto next = [&](u32 bytes) {
    at = (at + bytes - 1) / bytes * bytes;
    const u64 value = read_bytes(w, lane, at, bytes);
    at += bytes;
    return value;
  };
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const std::size_t end = format.find_first_of("diouxXeEfFgGaAcsp%", i + 1);
    if (end == std::string::npos) break;
    std::string spec = format.substr(i, end - i + 1);
    const char kind = format[end];
    const bool is_long = spec.find('l') != std::string::npos || spec.find('z') != std::string::npos;
    std::erase_if(spec, [](char c) { return c == 'l' || c == 'h' || c == 'z'; });
    char text[512] = "";
    switch (kind) {
      case '%':
        std::snprintf(text, sizeof text, "%%");
        break;
      case 'c':
        std::snprintf(text, sizeof text, spec.c_str(), static_cast<int>(next(4)));
        break;
      case 's':
        std::snprintf(text, sizeof text, spec.c_str(), read_text(w, lane, next(8)).c_str());
        break;
      case 'p':
        std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(next(8)));
        break;
      case 'd':
      case 'i':
      case 'o':
      case 'u':
      case 'x':
      case 'X':
        if (is_long) {
          spec.insert(spec.size() - 1, "ll");
          std::snprintf(text, sizeof text, spec.c_str(), static_cast<long long>(next(8)));
        } else {
          std::snprintf(text, sizeof text, spec.c_str(), static_cast<int>(next(4)));
        }
        break;
      default:
        std::snprintf(text, sizeof text, spec.c_str(), std::bit_cast<double>(next(8)));
    }
    out += text;
    i = end;
  }
  return out;
}

}  // namespace gpu::ops
