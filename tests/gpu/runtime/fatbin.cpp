#include "gpu/runtime/fatbin.hpp"

#include <cstring>
#include <stdexcept>
#include <string_view>
#include <tuple>

namespace gpu::runtime {
namespace {

constexpr std::uint32_t kMagic = 0xBA55ED50;
constexpr std::uint16_t kPtx = 1;
constexpr std::uint16_t kMachineCode = 2;

template <typename T>
T read(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

// The number and suffix of ".target sm_90a".
void read_target(Image& image) {
  constexpr std::string_view kTarget = ".target sm_";
  std::size_t at = image.text.find(kTarget);
  if (at == std::string::npos) return;
  at += kTarget.size();
  int number = 0;
  while (at < image.text.size() && image.text[at] >= '0' && image.text[at] <= '9') {
    number = number * 10 + (image.text[at++] - '0');
  }
  image.capability = {number / 10, number % 10};
  if (at < image.text.size() && image.text[at] == 'a') image.reach = Image::Reach::exact;
  if (at < image.text.size() && image.text[at] == 'f') image.reach = Image::Reach::family;
}

Image read_entry(const std::byte* entry, std::uint32_t header_bytes, std::uint64_t payload_bytes) {
  Image image;
  const auto kind = read<std::uint16_t>(entry);
  const auto arch = static_cast<int>(read<std::uint32_t>(entry + 28));
  image.capability = {arch / 10, arch % 10};
  if (kind == kMachineCode) image.kind = Image::Kind::machine_code;
  if (kind != kPtx) return image;
  image.kind = Image::Kind::ptx;
  const char* text = reinterpret_cast<const char*>(entry + header_bytes);
  // Plain PTX starts with a comment, a directive or white space; compressed PTX doesn't.
  const char first = payload_bytes == 0 ? '\0' : text[0];
  image.compressed = first != '/' && first != '.' && first != '\n' && first != ' ';
  if (image.compressed) return image;
  image.text.assign(text, payload_bytes);
  image.text.resize(std::strlen(image.text.c_str()));  // the payload is padded with zeros
  read_target(image);
  return image;
}

bool fits(const Image& image, Capability device) {
  switch (image.reach) {
    case Image::Reach::upwards:
      return image.capability <= device;
    case Image::Reach::family:
      return image.capability.major == device.major && image.capability <= device;
    case Image::Reach::exact:
      return image.capability == device;
  }
  return false;
}

}  // namespace

std::vector<Image> read_fat_binary(const void* data) {
  const auto* begin = static_cast<const std::byte*>(data);
  if (data == nullptr || read<std::uint32_t>(begin) != kMagic) {
    throw std::invalid_argument("not a fat binary");
  }
  const std::byte* entry = begin + read<std::uint16_t>(begin + 6);
  const std::byte* end = entry + read<std::uint64_t>(begin + 8);
  std::vector<Image> images;
  while (entry < end) {
    const auto header_bytes = read<std::uint32_t>(entry + 4);
    const auto payload_bytes = read<std::uint64_t>(entry + 8);
    if (header_bytes == 0 || payload_bytes > static_cast<std::uint64_t>(end - entry)) {
      throw std::invalid_argument("a fat binary with a broken entry");
    }
    images.push_back(read_entry(entry, header_bytes, payload_bytes));
    entry += header_bytes + payload_bytes;
  }
  return images;
}

const Image* choose_image(const std::vector<Image>& images, Capability device) {
  const Image* best = nullptr;
  auto rank = [](const Image& image) { return std::tuple(image.capability, image.reach); };
  for (const Image& image : images) {
    if (image.kind != Image::Kind::ptx || !fits(image, device)) continue;
    if (best == nullptr || rank(image) > rank(*best)) best = &image;
  }
  return best;
}

}  // namespace gpu::runtime
