#include "attend/cpu/engine/engines.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace attend::cpu {
namespace {

constexpr Engine kX86[] = {Engine::portable, Engine::avx2, Engine::avx512, Engine::avx512_bf16,
                           Engine::amx};

std::vector<Engine> up_to(Engine last) {
  std::vector<Engine> engines;
  for (const Engine engine : kX86)
    if (engine <= last) engines.push_back(engine);
  return engines;
}

TEST(FastestEngine, IsTheWidest) {
  for (const Engine engine : kX86) EXPECT_EQ(fastest(up_to(engine), true), engine) << name(engine);
}

TEST(FastestEngine, TakesPairsOnlyWhereTheyPay) {
  EXPECT_EQ(fastest(up_to(Engine::avx512), false), Engine::avx512);
  EXPECT_EQ(fastest(up_to(Engine::avx512_bf16), false), Engine::avx512);
  EXPECT_EQ(fastest(up_to(Engine::amx), false), Engine::amx);
}

TEST(FastestEngine, EmulatesNothing) {
  EXPECT_EQ(fastest({Engine::emulated_bf16, Engine::emulated_amx, Engine::portable}, true),
            Engine::portable);
}

}  // namespace
}  // namespace attend::cpu
