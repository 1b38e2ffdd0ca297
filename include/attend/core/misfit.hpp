#pragma once

#include <cstdint>

#include "config.hpp"
#include "view.hpp"

/// @file
/// How a functor says that what it refers to does not fit a problem.

namespace attend {

/// A tensor that a functor refers to, of one axis or two, whose extents a problem does not fit.
struct Misfit {
  const char* name = nullptr;     ///< what it is called; null: there is none
  int rank = 0;                   ///< axes
  std::int64_t was[2] = {};       ///< extents
  std::int64_t expected[2] = {};  ///< extents of one that fits
  bool shared = false;            ///< its first axis may be 1, too
};

/// Of a table `(first|1, second)`.
template <class T>
ATTEND_HD constexpr Misfit misfit_of_table(const char* name, const View<T, 2>& table,
                                           std::int64_t first, std::int64_t second) {
  const std::int64_t rows = table.extent(0), columns = table.extent(1);
  if ((rows == first || rows == 1) && columns == second) return {};
  return {name, 2, {rows, columns}, {first, second}, true};
}

}  // namespace attend
