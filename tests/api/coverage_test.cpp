// Masks that say of whole tiles that they are kept or excluded: the results are those of the same
// mask as a tensor, and nobody asks for the pairs of such a tile.
#include <gtest/gtest.h>

#include <atomic>
#include <attend/attend.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "every_engine.hpp"

namespace {

using api_test::Inputs;
using api_test::Sizes;
using attend::Coverage;
using attend::Index;
using attend::IndexBlock;
using attend::Path;

/// What a mask was asked in one pass.
class Record {
 public:
  explicit Record(const Sizes& n) : n_(n), asked_(pairs()), told_(pairs()) {}

  /// Whether a block lies within the scores and is not empty; else that is remembered.
  bool holds(const IndexBlock& block) {
    const bool holds = 0 <= block.b && block.b < n_.batch && 0 <= block.h && block.h < n_.heads &&
                       0 <= block.i_begin && block.i_begin < block.i_end &&
                       block.i_end <= n_.len_q && 0 <= block.j_begin &&
                       block.j_begin < block.j_end && block.j_end <= n_.len_k;
    if (!holds) ++outside_;
    return holds;
  }
  void ask(Index at) { ++asked_[place(at)]; }
  void tell(const IndexBlock& block, Coverage coverage) {
    if (coverage == Coverage::some) return;
    ++(coverage == Coverage::all ? all_ : none_);
    for (Index at{block.b, block.h, block.i_begin, 0}; at.i < block.i_end; ++at.i)
      for (at.j = block.j_begin; at.j < block.j_end; ++at.j) ++told_[place(at)];
  }

  /// Every pair was either in a block that was told of as a whole, or asked for; and once.
  void check_pairs() const {
    EXPECT_EQ(outside_, 0);
    for (std::size_t n = 0; n < pairs(); ++n)
      ASSERT_TRUE(told_[n] + asked_[n] == 1)
          << "pair " << n << ": told " << int{told_[n]} << ", asked " << int{asked_[n]};
  }
  int all() const { return all_; }    // blocks
  int none() const { return none_; }  // blocks

 private:
  std::size_t pairs() const {
    return static_cast<std::size_t>(n_.batch * n_.heads * n_.len_q * n_.len_k);
  }
  std::size_t place(Index at) const {
    return static_cast<std::size_t>(((at.b * n_.heads + at.h) * n_.len_q + at.i) * n_.len_k + at.j);
  }

  Sizes n_;
  std::vector<std::atomic<std::uint8_t>> asked_, told_;
  std::atomic<int> all_ = 0, none_ = 0, outside_ = 0;
};

/// A mask function that keeps a record.
template <class Mask>
struct Recorded {
  const Mask* mask;
  Record* record;

  bool operator()(Index at) const {
    record->ask(at);
    return (*mask)(at);
  }
  Coverage coverage(const IndexBlock& block) const {
    if (!record->holds(block)) return Coverage::some;
    const Coverage coverage = mask->coverage(block);
    record->tell(block, coverage);
    return coverage;
  }
  attend::Misfit misfit(const attend::Problem& problem) const { return mask->misfit(problem); }
};

/// What a case must reach.
enum class Reach { whole_tiles, anything };

/// A mask against `keep(Index)` as a tensor. What is computed for it is the same, tile by tile.
template <class T, class Mask, class Keep>
void check(const Sizes& n, const Mask& mask, const Keep& keep, Reach reach = Reach::whole_tiles) {
  SCOPED_TRACE(testing::Message() << n.len_q << " x " << n.len_k);
  const Inputs<T> in(n);
  attend::Tensor<bool, 4> tensor(n.batch, n.heads, n.len_q, n.len_k);
  Index at;
  for (at.b = 0; at.b < n.batch; ++at.b)
    for (at.h = 0; at.h < n.heads; ++at.h)
      for (at.i = 0; at.i < n.len_q; ++at.i)
        for (at.j = 0; at.j < n.len_k; ++at.j) tensor(at.b, at.h, at.i, at.j) = keep(at);
  const attend::Attend<T> attention;
  api_test::on_every_engine<T>([&](Path path) {
    Record forward(n), backward(n);
    const attend::Call<T> call{.path = path};
    const auto r = attention.forward(in.q, in.k, in.v, call,
                                     attend::mask_mod(Recorded<Mask>{&mask, &forward}));
    const auto g = attention.backward(in.grad_out, r, in.q, in.k, in.v, call,
                                      attend::mask_mod(Recorded<Mask>{&mask, &backward}));
    api_test::expect_same<T>({r, g}, api_test::run<T>(in, {.mask = tensor, .path = path}),
                             sizeof(T) == 2 ? 1e-2 : 5e-6);
    if (path != Path::fused) return;
    for (const Record* record : {&forward, &backward}) {
      SCOPED_TRACE(record == &forward ? "forward" : "backward");
      record->check_pairs();
      if (reach == Reach::anything) continue;
      EXPECT_GT(record->all(), 0);
      EXPECT_GT(record->none(), 0);
    }
  });
}

/// Keys around a place that moves with the query; each head and batch element has its own.
struct Band {
  static constexpr std::int64_t kReach = 240;

  static std::int64_t shift(std::int64_t b, std::int64_t h) { return 90 + 70 * b + 37 * h; }

  bool operator()(Index at) const {
    const std::int64_t distance = at.i + shift(at.b, at.h) - at.j;
    return -kReach <= distance && distance <= kReach;
  }
  Coverage coverage(const IndexBlock& block) const {
    const std::int64_t least = block.i_begin + shift(block.b, block.h) - (block.j_end - 1);
    const std::int64_t most = block.i_end - 1 + shift(block.b, block.h) - block.j_begin;
    if (most < -kReach || least > kReach) return Coverage::none;
    return -kReach <= least && most <= kReach ? Coverage::all : Coverage::some;
  }
};

template <class T>
void check_band() {
  const auto mask = attend::mask_mod(Band());
  check<T>({2, 2, 2, 300, 700}, mask, Band());
  check<T>({1, 2, 2, 700, 700}, mask, Band());
  check<T>({1, 4, 2, 300, 700}, mask, Band());
  check<T>({1, 4, 2, 37, 700}, mask, Band(), Reach::anything);  // heads side by side
  check<T>({1, 2, 2, 1, 2500}, mask, Band(), Reach::anything);
}

TEST(Coverage, OfABandFloat) { check_band<float>(); }
TEST(Coverage, OfABandBfloat16) { check_band<Eigen::bfloat16>(); }

template <class T>
void check_documents() {
  // The first key of many a tile is of another document than the rest.
  const auto document = [](std::int64_t b, std::int64_t n) {
    return n < (b == 0 ? 257 : 289) ? 3 : n < 641 ? 5 : 8;
  };
  for (const std::int64_t len_q : {300, 700}) {
    attend::Tensor<std::int32_t, 2> ids_q(2, len_q), ids_k(2, 700);
    const auto document_q = [&](std::int64_t b, std::int64_t n) {
      return document(b, len_q == 700 ? n : 2 * n + 50);
    };
    for (std::int64_t b = 0; b < 2; ++b) {
      for (std::int64_t n = 0; n < len_q; ++n) ids_q(b, n) = document_q(b, n);
      for (std::int64_t n = 0; n < 700; ++n) ids_k(b, n) = document(b, n);
    }
    check<T>({2, 1, 1, len_q, 700}, attend::document_mask(ids_q, ids_k),
             [&](Index at) { return document_q(at.b, at.i) == document(at.b, at.j); });
  }
}

TEST(Coverage, OfDocumentsFloat) { check_documents<float>(); }
TEST(Coverage, OfDocumentsBfloat16) { check_documents<Eigen::bfloat16>(); }

template <class T>
void check_prefix() {
  attend::Tensor<std::int64_t, 1> lengths(2);
  lengths.setValues({0, 385});
  for (const std::int64_t len_q : {300, 700})
    check<T>({2, 1, 1, len_q, 700}, attend::prefix_lm(lengths),
             [&](Index at) { return at.j <= at.i || at.j < lengths(at.b); });
}

TEST(Coverage, OfAPrefixFloat) { check_prefix<float>(); }
TEST(Coverage, OfAPrefixBfloat16) { check_prefix<Eigen::bfloat16>(); }

}  // namespace
