#pragma once

#include <cstddef>
#include <cstdint>

#include "../kernel/pack_mask.cuh"
#include "launch.cuh"
#include "memory.hpp"

/// @file
/// A call's mask, made into bits.

namespace attend::cuda {

/// What is made of a mask.
enum class MaskParts { words_and_tiles, tiles };

/// The bits of a variant's mask, one for each of its elements (rows of 128 keys), and a byte for
/// each of its tiles. Given back in the stream's order.
class PackedMask {
 public:
  /// None.
  PackedMask() = default;
  /// In the stream's order; none if there is no mask.
  /// @throws device_error if there is no memory.
  template <class V>
  PackedMask(const V& variant, MaskParts parts, cudaStream_t stream) {
    const View<const bool, 4>& mask = variant.mask;
    if (!mask || mask.size() == 0) return;
    const auto own = [&](int axis) { return mask.stride(axis) == 0 ? 1 : mask.extent(axis); };
    const bool same_for_keys = mask.stride(3) == 0;
    const Extents<4> extents{own(0), own(1), own(2), same_for_keys ? kMaskTileKeys : own(3)};
    const auto [b, h, i, j] = extents;
    const std::int64_t m = (i + kMaskTileRows - 1) / kMaskTileRows;
    const std::int64_t n = (j + kMaskTileKeys - 1) / kMaskTileKeys;
    const bool has_words = parts == MaskParts::words_and_tiles;
    const std::int64_t word_count = has_words ? b * h * i * n * kMaskTileWords : 0;
    const std::int64_t tile_count = b * h * m * n;
    memory_ = Memory(static_cast<std::size_t>(word_count) * sizeof(std::uint32_t) +
                         static_cast<std::size_t>(tile_count) * sizeof(bool),
                     Stream::borrowed(stream));
    auto* const memory = static_cast<std::uint32_t*>(memory_.data());
    auto* const words = has_words ? memory : nullptr;
    auto* const tiles = reinterpret_cast<bool*>(memory + word_count);
    const Extents<4> word_extents{b, h, i, n * kMaskTileWords}, tile_extents{b, h, m, n};
    launch("pack_mask", pack_mask<V>, {tile_count, kPackThreads}, stream,
           View<const bool, 4>(mask.data(), extents, mask.strides()),
           View<std::uint32_t, 4>(words, word_extents), View<bool, 4>(tiles, tile_extents));
    Strides<4> word_strides = repeated(word_extents);
    if (same_for_keys) word_strides[3] = 0;
    bits_ = {{words, word_extents, word_strides}, {tiles, tile_extents, repeated(tile_extents)}};
  }

  /// As kernels take them.
  const MaskBits& bits() const { return bits_; }

 private:
  // Strides that stay where they are along axes of extent 1.
  static Strides<4> repeated(const Extents<4>& extents) {
    Strides<4> strides = contiguous_strides(extents);
    for (std::size_t axis = 0; axis < 4; ++axis)
      if (extents[axis] == 1) strides[axis] = 0;
    return strides;
  }

  Memory memory_;
  MaskBits bits_;
};

}  // namespace attend::cuda
