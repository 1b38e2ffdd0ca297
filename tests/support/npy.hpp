// Reads the arrays of tests/data: NumPy .npy files, little-endian, C order.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace support {

/// An array of any element type, as doubles (exact for every type we store).
struct NpyArray {
  std::vector<std::int64_t> shape;
  std::vector<double> data;
  std::string dtype;  // NumPy's letters: "f4", "f8", "f2", "b1"
};

namespace npy {

template <class T>
std::vector<double> decode(const std::string& bytes) {
  std::vector<double> values(bytes.size() / sizeof(T));
  for (std::size_t n = 0; n < values.size(); ++n) {
    T x;
    std::memcpy(static_cast<void*>(&x), bytes.data() + n * sizeof(T), sizeof(T));
    values[n] = static_cast<double>(x);
  }
  return values;
}

/// The text between `open` and `close` that follows the key in the header's dictionary.
inline std::string field(const std::string& header, const std::string& key, char open, char close) {
  const std::size_t begin = header.find(open, header.find("'" + key + "':") + key.size() + 3) + 1;
  return header.substr(begin, header.find(close, begin) - begin);
}

}  // namespace npy

/// @throws std::runtime_error if the file is missing, cut short, or of a kind not named above.
inline NpyArray read_npy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string all{std::istreambuf_iterator<char>(file), {}};
  const auto fail = [&](const char* why) { throw std::runtime_error(path + ": " + why); };
  if (all.size() < 10 || all.compare(0, 6, "\x93NUMPY") != 0) fail("is no .npy file");
  if (all[6] != 1) fail("is not of .npy version 1");
  const std::size_t header_size =
      static_cast<unsigned char>(all[8]) + std::size_t{256} * static_cast<unsigned char>(all[9]);
  const std::string header = all.substr(10, header_size);
  if (header.find("'fortran_order': False") == std::string::npos) fail("is not in C order");

  NpyArray array;
  array.dtype = npy::field(header, "descr", '\'', '\'').substr(1);
  std::istringstream extents(npy::field(header, "shape", '(', ')'));
  std::size_t count = 1;
  for (std::string extent; std::getline(extents, extent, ',');) {
    if (extent.find_first_of("0123456789") == std::string::npos) continue;
    array.shape.push_back(std::stoll(extent));
    count *= static_cast<std::size_t>(array.shape.back());
  }
  const std::string bytes = all.substr(10 + header_size);
  if (array.dtype == "f4") {
    array.data = npy::decode<float>(bytes);
  } else if (array.dtype == "f8") {
    array.data = npy::decode<double>(bytes);
  } else if (array.dtype == "f2") {
    array.data = npy::decode<Eigen::half>(bytes);
  } else if (array.dtype == "b1") {
    array.data = npy::decode<std::uint8_t>(bytes);
  } else {
    fail("has an element type that the reader does not know");
  }
  if (array.data.size() != count) fail("is cut short");
  return array;
}

}  // namespace support
