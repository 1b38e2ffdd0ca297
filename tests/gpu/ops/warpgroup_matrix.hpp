#pragma once

#include <vector>

#include "gpu/machine/products.hpp"
#include "gpu/ops/numbers.hpp"
#include "gpu/ptx/ast.hpp"

namespace gpu::ops {

/// Along K a product reads 32 bytes, two pieces of 16: 16 elements of f16 or bf16, 8 of tf32.
constexpr u32 kStepBytes = 32;
inline u32 depth_of(ptx::Type element) { return kStepBytes / ptx::bytes_of(element); }

enum class Major : u8 { k, outer };

/// A matrix in shared memory as a product's operand: `outer` is M or N, the other dimension is K.
/// Only 16-bit elements may be outer-major.
struct SharedMatrix {
  u32 outer;
  Major major;
  ptx::Type element;
};

/// The 64-bit shared-memory matrix descriptor (PTX manual, "Matrix descriptor format").
struct Descriptor {
  explicit Descriptor(u64 bits);

  u32 start;    ///< shared address
  u32 leading;  ///< byte offsets
  u32 stride;
  u32 base;
  u32 swizzle;    ///< bytes of a row that are permuted: 0, 32, 64, 128
  bool is_clean;  ///< the bits without a meaning are 0

  /// Shared addresses of the 16-byte pieces, in the order that place_elements() wants.
  std::vector<u32> pieces(const SharedMatrix& m) const;
};

/// `values` of the elements, piece by piece: element (outer i, k) goes to
/// out[i * outer_step + k * k_step].
void place_elements(const float* values, const SharedMatrix& m, float* out, u32 outer_step,
                    u32 k_step);
/// Calls visit(element, outer index) for each element, piece by piece.
template <class Visit>
void each_outer(const SharedMatrix& m, Visit visit) {
  const u32 pieces = m.outer * 2, per_piece = depth_of(m.element) / 2;
  for (u32 p = 0; p < pieces; ++p) {
    for (u32 e = 0; e < per_piece; ++e)
      visit(p * per_piece + e, m.major == Major::k ? p / 2 : p / 16 * 8 + e);
  }
}

/// Floats of elements.
void to_floats(const void* from, u32 count, ptx::Type element, float* to);

/// In which order the products of an element are added: hardware doesn't say.
struct AddingOrder {
  u8 at[16];            ///< the first `depth` count
  bool products_first;  ///< then the accumulator
};
AddingOrder adding_order(u64 seed, bool perturb, u32 depth);

/// c (16 x columns) += a (16 x depth) b (depth x columns).
void multiply_add(const float* a, const float* b, float* c, const ProductShape& shape,
                  const AddingOrder& order);

}  // namespace gpu::ops
