#pragma once

#include <vector>

#include "gpu/machine/products.hpp"
#include "gpu/ops/numbers.hpp"

namespace gpu::ops {

/// A matrix in shared memory as a product's operand: `outer` is M or N, the other dimension is K.
enum class Major : u8 { k, outer };

/// The 64-bit shared-memory matrix descriptor (PTX manual, "Matrix descriptor format").
struct Descriptor {
  explicit Descriptor(u64 bits);

  u32 start;    ///< shared address
  u32 leading;  ///< byte offsets
  u32 stride;
  u32 base;
  u32 swizzle;    ///< bytes of a row that are permuted: 0, 32, 64, 128
  bool is_clean;  ///< the bits without a meaning are 0

  /// Shared addresses of the 16-byte pieces, in the order that elements_of() wants.
  std::vector<u32> pieces(u32 outer, Major major) const;
};

/// 16-bit elements of pieces to floats: element (outer i, k) goes to
/// out[i * outer_step + k * k_step]. `values`: 8 per piece.
void place_elements(const float* values, u32 outer, Major major, float* out, u32 outer_step,
                    u32 k_step);
/// Calls visit(i) for the outer index of each element.
template <class Visit>
void each_outer(u32 outer, Major major, Visit visit) {
  const u32 pieces = outer * 2;
  for (u32 p = 0; p < pieces; ++p) {
    for (u32 e = 0; e < 8; ++e) visit(p * 8 + e, major == Major::k ? p / 2 : p / 16 * 8 + e);
  }
}

/// Floats of 16-bit elements.
void to_floats(const u16* from, u32 count, bool bf16, float* to);

/// In which order the 16 products of an element are added: hardware doesn't say.
struct AddingOrder {
  u8 at[16];
  bool products_first;  ///< then the accumulator
};
AddingOrder adding_order(u64 seed, bool perturb);

/// c (16 x columns) += a (16 x 16) b (16 x columns).
void multiply_add(const float* a, const float* b, float* c, u32 columns, const AddingOrder& order);

}  // namespace gpu::ops
