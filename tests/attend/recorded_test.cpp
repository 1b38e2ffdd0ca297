// Outside truth: the original's own results, and a real model's.
#include "support/recorded.hpp"

#include <gtest/gtest.h>

#include "call_of.hpp"
#include "support/reference.hpp"

namespace {

using support::recorded;
using support::view;

const std::string kData = ATTEND_TEST_DATA;

template <class T>
std::vector<double> ours(const oracle::Problem& p, bool flash, support::Layout layout) {
  const support::Sample<T> sample(p, layout);
  const attend::Attend<T> attention(attend_test::options_of(p, flash));
  return attend_test::values(
      attention
          .forward(view(sample.q), view(sample.k), view(sample.v), attend_test::call_of(p, sample))
          .out);
}

// Our two paths against the original's two, and its two answers for rows without keys.
template <class T>
void check_original(const std::string& name) {
  SCOPED_TRACE(name);
  const std::string prefix = kData + "/original/" + name;
  oracle::Problem p = recorded(prefix, prefix + ".mask.npy");
  const bool heads_inside = name.starts_with("rin_");
  for (const bool flash : {false, true}) {
    const auto recorded_out =
        support::read_npy(prefix + (flash ? ".out_flash.npy" : ".out_math.npy")).data;
    p.empty_row = flash ? oracle::EmptyRow::zero : oracle::EmptyRow::uniform;
    const support::Reference<T> reference(p);
    const double theirs = support::difference(recorded_out, reference.out).greatest;
    // The record itself is a computation in T: it may be as wrong as we may.
    ASSERT_LE(theirs, 2 * reference.allowed_out);
    for (const bool ours_flash : {false, true}) {
      const auto out = ours<T>(
          p, ours_flash, heads_inside ? support::Layout::heads_inside : support::Layout::row_major);
      EXPECT_TRUE(support::within(out, reference.out, reference.allowed_out));
      EXPECT_TRUE(support::within(out, recorded_out, reference.allowed_out + theirs));
    }
  }
}

TEST(Recorded, Original) {
  for (const char* name :
       {"plain", "rin_read", "rin_write", "rin_self", "padding", "padding_empty", "mask_full4",
        "mask_head1", "mask_head1_empty", "mask_random", "wider_v"})
    check_original<float>(name);
  check_original<double>("double");
  check_original<Eigen::half>("half");
  check_original<Eigen::bfloat16>("bfloat16");
}

// Where rows are empty the original's paths disagree; the record shows it, so both policies matter.
TEST(Recorded, OriginalDisagreesOnEmptyRows) {
  for (const char* name : {"padding_empty", "mask_head1_empty"}) {
    const std::string prefix = kData + "/original/" + name;
    EXPECT_GT(support::difference(support::read_npy(prefix + ".out_math.npy").data,
                                  support::read_npy(prefix + ".out_flash.npy").data)
                  .greatest,
              0.01);
  }
}

// PyTorch's recorded output is within 1.4e-6 of a double computation; ours within twice that.
TEST(Recorded, MiniLm) {
  for (const char* name : {"sentences.layer0", "passage.layer3"}) {
    SCOPED_TRACE(name);
    const std::string prefix = kData + "/minilm/" + name;
    const std::string text = std::string(name).substr(0, std::string(name).find('.'));
    const oracle::Problem p = recorded(prefix, kData + "/minilm/" + text + ".mask.npy");
    const auto exact = oracle::forward(p).out;
    const auto theirs = support::read_npy(prefix + ".out.npy").data;
    const double their_error = support::difference(theirs, exact).greatest;
    RecordProperty("pytorch", std::to_string(their_error));
    ASSERT_LT(their_error, 1.5e-6);
    for (const bool flash : {false, true}) {
      const auto out = ours<float>(p, flash, support::Layout::heads_inside);
      const double error = support::difference(out, exact).greatest;
      RecordProperty(flash ? "fused" : "math", std::to_string(error));
      EXPECT_LE(error, 2 * 1.4e-6) << (flash ? "fused" : "math");
    }
  }
}

}  // namespace
