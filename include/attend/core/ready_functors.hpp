#pragma once

#include <cstdint>

#include "config.hpp"
#include "misfit.hpp"
#include "problem.hpp"
#include "variant.hpp"
#include "view.hpp"

/// @file
/// Functors with names: masks and scores that many models use. They refer to memory of the user's.

namespace attend {

/// Queries see the keys of their own document: of sequences that were packed one after another.
template <class Id>
struct DocumentMask {
  View<const Id, 2> ids_q;  ///< (b|1 i) the document of each query
  View<const Id, 2> ids_k;  ///< (b|1 j) the document of each key
  bool ascending = false;   ///< whether ids never decrease along a sequence

  /// Whether query and key are of one document.
  ATTEND_HD constexpr bool operator()(Index at) const {
    return id(ids_q, at.b, at.i) == id(ids_k, at.b, at.j);
  }

  /// There is an id for each query and key.
  ATTEND_HD constexpr Misfit misfit(const Problem& problem) const {
    const Misfit of_queries = misfit_of_table("ids_q", ids_q, problem.batch, problem.len_q);
    if (of_queries.name != nullptr) return of_queries;
    return misfit_of_table("ids_k", ids_k, problem.batch, problem.len_k);
  }

  /// From the first and last ids, where they ascend.
  ATTEND_HD constexpr Coverage coverage(const IndexBlock& block) const {
    if (!ascending) return Coverage::some;
    const Id first_q = id(ids_q, block.b, block.i_begin),
             last_q = id(ids_q, block.b, block.i_end - 1);
    const Id first_k = id(ids_k, block.b, block.j_begin),
             last_k = id(ids_k, block.b, block.j_end - 1);
    if (last_q < first_k || last_k < first_q) return Coverage::none;
    return first_q == last_k && last_q == first_k ? Coverage::all : Coverage::some;
  }

 private:
  ATTEND_HD static constexpr Id id(const View<const Id, 2>& ids, std::int64_t b, std::int64_t n) {
    return ids(ids.extent(0) > 1 ? b : 0, n);
  }
};

/// A prefix that all queries see whole, and causal order after it: key j is seen by query i iff
/// `j <= i + shift` or `j < lengths[b]` (Raffel et al., "Exploring the limits of transfer learning
/// with a unified text-to-text transformer", 2020).
struct PrefixLm {
  Integers lengths;         ///< (b) keys of the prefix
  std::int64_t count = -1;  ///< how many lengths there are; -1: not known
  std::int64_t shift = 0;   ///< how many keys come before the first query

  /// Whether the key is in the prefix or not after the query.
  ATTEND_HD constexpr bool operator()(Index at) const {
    return at.j <= at.i + shift || at.j < lengths[at.b];
  }

  /// There is a length for each batch element.
  ATTEND_HD constexpr Misfit misfit(const Problem& problem) const {
    if (count < 0 || count == problem.batch) return {};
    return {"lengths", 1, {count}, {problem.batch}};
  }

  /// From the corners of the block.
  ATTEND_HD constexpr Coverage coverage(const IndexBlock& block) const {
    const std::int64_t prefix = lengths[block.b];
    if (block.j_end <= prefix || block.j_end <= block.i_begin + shift + 1) return Coverage::all;
    if (block.j_begin >= prefix && block.j_begin >= block.i_end + shift) return Coverage::none;
    return Coverage::some;
  }
};

/// Adds a learned number for each head and distance of key and query: column `clamp(j - i - shift,
/// -r, r) + r` of a table of 2 r + 1 columns (Shaw et al., "Self-attention with relative position
/// representations", 2018; as a bias: Raffel et al., 2020). The table is trained: its gradient is
/// `Gradients::dparameters`, in C order.
template <class Real>
struct RelativePositionBias {
  View<const Real, 2> table;  ///< (h|1, 2 r + 1)
  std::int64_t shift = 0;     ///< how many keys come before the first query

  /// The score and the table's number.
  template <class Number>
  ATTEND_HD constexpr Number operator()(Number score, Index at) const {
    return score + table(row(at), column(at));
  }

  /// There is a row for each head.
  ATTEND_HD constexpr Misfit misfit(const Problem& problem) const {
    return misfit_of_table("table", table, problem.heads, table.extent(1));
  }

  /// Elements of the table.
  ATTEND_HD constexpr std::int64_t parameters() const { return table.size(); }

  /// The score depends on one of them.
  template <class Number, class Add>
  ATTEND_HD constexpr void scatter(Number, Number gradient, Index at, const Add& add) const {
    add(row(at) * table.extent(1) + column(at), gradient);
  }

 private:
  ATTEND_HD constexpr std::int64_t row(Index at) const { return table.extent(0) > 1 ? at.h : 0; }
  ATTEND_HD constexpr std::int64_t column(Index at) const {
    const std::int64_t reach = (table.extent(1) - 1) / 2, distance = at.j - at.i - shift;
    return (distance < -reach ? -reach : distance > reach ? reach : distance) + reach;
  }
};

}  // namespace attend
