#pragma once

#include <cstdint>
#include <cstring>
#include <initializer_list>

/// @file
/// Memory that is asked for before it is needed.

namespace attend::cpu {

/// Rows of memory that are wanted, columns side by side.
class WantedRows {
 public:
  /// None.
  WantedRows() = default;

  /// Columns `begin` to `end` of `count` rows whose column 0 the pointers at `row` point to.
  template <class T>
  WantedRows(const T* const* row, std::int64_t count, std::int64_t begin, std::int64_t end)
      : WantedRows(count, (end - begin) * sizeof_of<T>()) {
    pointers_ = reinterpret_cast<const char*>(row);
    step_ = begin * sizeof_of<T>();
  }

  /// `columns` columns of `count` rows, the first of which begins at `row` and the others `stride`
  /// elements apart.
  template <class T>
  WantedRows(const T* row, std::int64_t stride, std::int64_t count, std::int64_t columns)
      : WantedRows(count, columns * sizeof_of<T>()) {
    first_ = reinterpret_cast<const char*>(row);
    step_ = stride * sizeof_of<T>();
  }

  /// Rows.
  std::int64_t count() const { return count_; }
  /// Bytes of each.
  std::int64_t bytes() const { return bytes_; }
  /// Where row n begins.
  const char* row(std::int64_t n) const {
    if (pointers_ == nullptr) return first_ + n * step_;
    const char* pointer;  // whatever it points to
    std::memcpy(&pointer, pointers_ + n * sizeof_of<const char*>(), sizeof pointer);
    return pointer + step_;
  }

 private:
  template <class T>
  static constexpr std::int64_t sizeof_of() {
    return static_cast<std::int64_t>(sizeof(T));
  }
  WantedRows(std::int64_t count, std::int64_t bytes)
      : count_(bytes > 0 ? count : 0), bytes_(bytes) {}

  std::int64_t count_ = 0;
  std::int64_t bytes_ = 0;
  const char* first_ = nullptr;     // where rows are evenly spaced
  const char* pointers_ = nullptr;  // where they are not
  std::int64_t step_ = 0;           // between rows, or from what a pointer points to
};

/// What the next panel or tile reads, asked for evenly while the products of this one run: a burst
/// of requests would wait for each other, and the products for them. As many lines after each
/// register block, as a number that varies would be a branch that is guessed wrong each time.
class Requests {
 public:
  /// Nothing.
  Requests() = default;

  /// To be asked for, in this order, while products of so many rows (at least 1) are computed.
  Requests(std::initializer_list<WantedRows> wanted, std::int64_t rows) {
    std::int64_t lines = 0;
    for (const WantedRows& piece : wanted) {
      if (piece.count() == 0) continue;
      wanted_[pieces_++] = piece;
      lines += piece.count() * ((piece.bytes() + kLine - 1) / kLine);
    }
    lines_per_row_ = (lines + rows - 1) / rows;
  }

  /// Whether there is anything to ask for.
  explicit operator bool() const { return lines_per_row_ > 0; }

  /// As many rows of a product are about to be computed: asks for their share.
  void ask(int rows) {
    for_each_line(rows, [](const char* line) { __builtin_prefetch(line); });
  }

  /// Calls `visit(line)` for the share of `rows` rows.
  template <class Visit>
  void for_each_line(int rows, const Visit& visit) {
    std::int64_t at = at_;
    for (std::int64_t n = lines_per_row_ * rows; n > 0; --n, at += kLine) {
      if (at >= bytes_) {
        if (!begin_row()) break;
        at = 0;
      }
      visit(begin_ + at);
    }
    at_ = at;
  }

 private:
  static constexpr std::int64_t kLine = 64;
  static constexpr int kMostPieces = 6;

  bool begin_row() {
    if (piece_ == pieces_) return false;
    const WantedRows& piece = wanted_[piece_];
    begin_ = piece.row(row_);
    bytes_ = piece.bytes();
    if (++row_ == piece.count()) row_ = 0, ++piece_;
    return true;
  }

  WantedRows wanted_[kMostPieces];
  int pieces_ = 0;
  int piece_ = 0;  // whose rows from `row_` on have not been begun
  std::int64_t row_ = 0;
  const char* begin_ = nullptr;  // of the row
  std::int64_t bytes_ = 0;       // of the row
  std::int64_t at_ = 0;          // in the row: the next line
  std::int64_t lines_per_row_ = 0;
};

}  // namespace attend::cpu
