#pragma once

#include <concepts>
#include <cstdint>
#include <string>

#include "../core/functors.hpp"
#include "../core/ready_functors.hpp"
#include "check.hpp"
#include "tensor.hpp"

/// @file
/// Makers of the functors with names, from tensors that must outlive the calls: on the host for
/// calls there, on a device for `cuda::functors`.

namespace attend {

/// How many keys come before the first query is a number that positions can be moved by.
/// @throws value_error if it is not.
inline void check_shift(std::int64_t shift) {
  constexpr std::int64_t kMost = std::int64_t{1} << 62;
  if (shift < -kMost || shift > kMost)
    throw value_error("shift is " + std::to_string(shift) + "; expected -2^62 to 2^62");
}

/// How the documents of packed sequences are numbered: in any order, or so that numbers never
/// decrease along a sequence.
enum class DocumentOrder { any, ascending };

/// The order of ids on the host.
template <class Id>
DocumentOrder document_order(const View<const Id, 2>& ids) {
  for (std::int64_t b = 0; b < ids.extent(0); ++b)
    for (std::int64_t n = 1; n < ids.extent(1); ++n)
      if (ids(b, n) < ids(b, n - 1)) return DocumentOrder::any;
  return DocumentOrder::ascending;
}

/// A mask by which queries see the keys of their own document, where sequences were packed one
/// after another. `ids_q (b|1 i)`, `ids_k (b|1 j)`: integers, which must not change while the mask
/// is in use. Where both are in ascending order, blocks of other documents are skipped. On the host
/// the order is looked up; ids on a device are taken to be in the `order` given, unchecked.
/// @throws shape_error, value_error if they are no tensors; value_error if ids on the host are not
/// in the order given.
template <class IdsQ, class IdsK, std::integral Id = ElementOf<IdsQ>>
requires TensorOf<IdsQ, Id, 2> && TensorBeside<IdsK, IdsQ, Id, 2>
auto document_mask(const IdsQ& ids_q, const IdsK& ids_k, DocumentOrder order = DocumentOrder::any) {
  const View<const Id, 2> of_queries = addresses(as_view(ids_q));
  const View<const Id, 2> of_keys = addresses(as_view(ids_k));
  check_tensor(of_queries, "ids_q");
  check_tensor(of_keys, "ids_k");
  if constexpr (kDeviceOf<IdsQ> == Device::host) {
    const DocumentOrder queries = document_order(of_queries), keys = document_order(of_keys);
    if (order == DocumentOrder::ascending && (queries != order || keys != order))
      throw value_error(std::string(queries != order ? "ids_q" : "ids_k") +
                        " decrease along a sequence; expected ascending ones, as the order says");
    order = queries == keys ? queries : DocumentOrder::any;
  }
  return mask_mod(Located<DocumentMask<Id>, kDeviceOf<IdsQ>>{
      {of_queries, of_keys, order == DocumentOrder::ascending}});
}

/// The same for self-attention: `ids (b|1 n)` of queries and keys alike.
template <class Ids, std::integral Id = ElementOf<Ids>>
requires TensorOf<Ids, Id, 2>
auto document_mask(const Ids& ids, DocumentOrder order = DocumentOrder::any) {
  return document_mask(ids, ids, order);
}

/// A mask by which the first keys, `lengths (b)` of them, are seen by all queries, and the others
/// by the queries that do not come before them: key j by query i iff `j <= i + shift`, where
/// `shift` keys come before the first query (`len_k - len_q`, if the last query is the last key).
/// @throws shape_error, value_error if they are no tensor, or for a shift beyond 2^62.
template <class Lengths, std::integral Length = ElementOf<Lengths>>
requires TensorOf<Lengths, Length, 1> &&
    (sizeof(Length) >= 4) auto prefix_lm(const Lengths& lengths, std::int64_t shift = 0) {
  const View<const Length, 1> view = addresses(as_view(lengths));
  check_tensor(view, "lengths");
  check_shift(shift);
  return mask_mod(Located<PrefixLm, kDeviceOf<Lengths>>{
      {{view.data(), view.stride(0)}, view.extent(0), shift}});
}

/// A learned bias for each head and distance: `table (h|1, 2 r + 1)` of float, or double for
/// double; see `RelativePositionBias`. `shift` keys come before the first query.
/// @throws shape_error if the number of columns is even, value_error for a shift beyond 2^62.
template <class Table, std::floating_point Real = ElementOf<Table>>
requires TensorOf<Table, Real, 2>
auto relative_position_bias(const Table& table, std::int64_t shift = 0) {
  const View<const Real, 2> view = addresses(as_view(table));
  check_tensor(view, "table");
  check_shift(shift);
  if (view.extent(1) % 2 == 0)
    throw shape_error("table has " + std::to_string(view.extent(1)) +
                      " columns; expected an odd number, one for each distance from -r to r");
  return score_mod(Located<RelativePositionBias<Real>, kDeviceOf<Table>>{{view, shift}});
}

}  // namespace attend
