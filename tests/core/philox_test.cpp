#include <gtest/gtest.h>

#include <array>
#include <attend/core/philox.hpp>

namespace {

using Words = std::array<std::uint32_t, 4>;

Words words(attend::PhiloxWords w) { return {w.word[0], w.word[1], w.word[2], w.word[3]}; }

// The known answers that Random123 publishes for philox4x32-10.
TEST(Philox, KnownAnswers) {
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(words(attend::philox4x32_10({{0, 0, 0, 0}}, 0)),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words(attend::philox4x32_10({{kOnes, kOnes, kOnes, kOnes}}, ~std::uint64_t{0})),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words(attend::philox4x32_10({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
                                        0x299f31d0'a4093822)),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, CounterOf64BitsIsTheLowerHalf) {
  EXPECT_EQ(words(attend::philox4x32_10(0x12345678'9abcdef0, 7)),
            words(attend::philox4x32_10({{0x9abcdef0, 0x12345678, 0, 0}}, 7)));
}

TEST(Philox, IsAConstantExpression) {
  static_assert(attend::philox4x32_10(0, 0).word[0] == 0x6627e8d5);
}

}  // namespace
