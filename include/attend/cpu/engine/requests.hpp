#pragma once

#include <cstdint>

/// @file
/// Memory that is asked for before it is needed.

namespace attend::cpu {

/// Columns `begin` to `end` of some rows, asked for line by line, row after row.
template <class T>
class RowRequests {
 public:
  /// No rows.
  RowRequests() = default;

  /// `count` rows whose column 0 the pointers at `row` point to; columns lie side by side.
  RowRequests(const T* const* row, int count, std::int64_t begin, std::int64_t end)
      : row_(row), count_(count), begin_(begin), end_(end), column_(begin) {}

  /// Lines of memory in all.
  std::int64_t lines() const { return count_ * ((end_ - begin_ + kLine - 1) / kLine); }

  /// Asks for the next line; false if all have been asked for.
  bool ask() {
    if (next_ == count_) return false;
    __builtin_prefetch(row_[next_] + column_);
    column_ += kLine;
    if (column_ >= end_) column_ = begin_, ++next_;
    return true;
  }

 private:
  static constexpr std::int64_t kLine = 64 / sizeof(T);

  const T* const* row_ = nullptr;
  int count_ = 0;
  std::int64_t begin_ = 0;
  std::int64_t end_ = 0;
  int next_ = 0;
  std::int64_t column_ = 0;
};

/// What the next panel or tile reads of mask and bias, asked for evenly while the products of this
/// one run: a burst of requests would wait for each other, and the products for them.
template <class Real>
class Requests {
 public:
  /// To be asked for, in this order, while products of so many rows (at least 1) are computed.
  Requests(const RowRequests<bool>& mask, const RowRequests<Real>& bias, std::int64_t rows)
      : mask_(mask), bias_(bias), lines_(mask.lines() + bias.lines()), rows_(rows) {}

  /// `rows` rows of a product have been computed.
  void ask(int rows) {
    for (due_ += lines_ * rows; due_ >= rows_; due_ -= rows_)
      if (!mask_.ask()) bias_.ask();
  }

 private:
  RowRequests<bool> mask_;
  RowRequests<Real> bias_;
  std::int64_t lines_;
  std::int64_t rows_;
  std::int64_t due_ = 0;  // lines that may be asked for, times `rows_`
};

}  // namespace attend::cpu
