#include <gtest/gtest.h>

#include <attend/core/keys.hpp>
#include <cstdint>

namespace {

using attend::KeyBand;
using attend::KeyRange;

TEST(SaturatingAdd, StopsAtTheEnds) {
  EXPECT_EQ(attend::saturating_add(2, 3), 5);
  EXPECT_EQ(attend::saturating_add(INT64_MAX, 1), INT64_MAX);
  EXPECT_EQ(attend::saturating_add(INT64_MIN, -1), INT64_MIN);
  EXPECT_EQ(attend::saturating_add(INT64_MAX, INT64_MIN), -1);
}

TEST(KeyRange, SizeAndContents) {
  EXPECT_EQ((KeyRange{3, 7}.size()), 4);
  EXPECT_EQ((KeyRange{7, 3}.size()), 0);
  EXPECT_TRUE((KeyRange{3, 3}.empty()));
  EXPECT_TRUE((KeyRange{3, 7}.contains(3)));
  EXPECT_FALSE((KeyRange{3, 7}.contains(7)));
}

// Against the definition, key by key: rows, and what any and all of a run of rows see.
TEST(KeyBand, AgreesWithTheDefinition) {
  constexpr std::int64_t kFar = std::int64_t{1} << 62;
  for (const std::int64_t shift : {-30L, -3L, 0L, 4L, 30L, 1L << 31, -(1L << 31)}) {
    for (const std::int64_t length : {0L, 1L, 11L}) {
      for (const std::int64_t left : {-1L, 0L, 2L, 40L, kFar}) {
        for (const std::int64_t right : {-1L, 0L, 3L, 40L, kFar}) {
          const KeyBand band(shift, length, {left, right});
          const auto sees = [&](std::int64_t i, std::int64_t j) {
            const __int128 position = __int128{i} + shift;
            return j < length && (left < 0 || j >= position - left) &&
                   (right < 0 || j <= position + right);
          };
          for (std::int64_t i = 0; i < 9; ++i) {
            ASSERT_EQ(band.position(i), i + shift);
            for (std::int64_t j = 0; j < 13; ++j)
              ASSERT_EQ(band.row(i).contains(j), sees(i, j)) << shift << " " << i << " " << j;
            for (std::int64_t end = i + 1; end <= 9; ++end) {
              for (std::int64_t j = 0; j < 13; ++j) {
                bool any = false, all = true;
                for (std::int64_t row = i; row < end; ++row)
                  any = any || sees(row, j), all = all && sees(row, j);
                ASSERT_TRUE(!any || band.any(i, end).contains(j));
                ASSERT_EQ(band.all(i, end).contains(j), all);
              }
            }
          }
        }
      }
    }
  }
}

TEST(KeyBand, PositionsSaturate) {
  const KeyBand band(INT64_MAX - 2, 5, {INT64_MAX, INT64_MAX});
  EXPECT_EQ(band.position(100), INT64_MAX);
  EXPECT_EQ(band.row(100).size(), 5);
}

}  // namespace
