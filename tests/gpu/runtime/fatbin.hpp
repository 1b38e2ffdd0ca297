#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gpu/machine/device.hpp"

namespace gpu::runtime {

/// One PTX or machine-code image of a fat binary.
struct Image {
  enum class Kind { ptx, machine_code, other };
  enum class Reach {
    upwards,  ///< compute_80: that capability and every later one
    family,   ///< compute_120f: later ones of the same major version
    exact,    ///< compute_90a: that capability alone
  };
  Kind kind = Kind::other;
  Capability capability;
  Reach reach = Reach::upwards;
  bool compressed = false;
  std::string text;  ///< of PTX that is not compressed
};

/// The images of a fat binary as nvcc embeds it. Throws std::invalid_argument if it is none.
std::vector<Image> read_fat_binary(const void* data);

/// The PTX a driver would compile for that device: the highest it can take. nullptr: none.
const Image* choose_image(const std::vector<Image>& images, Capability device);

}  // namespace gpu::runtime
