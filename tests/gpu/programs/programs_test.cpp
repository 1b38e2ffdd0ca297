// The correct programs on every capability, for several seeds: right results, no false alarm.
#include "programs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <ostream>
#include <tuple>

#include "emulation.hpp"

namespace gpu {
void PrintTo(Capability capability, std::ostream* out) {
  *out << capability.major << "." << capability.minor;
}
}  // namespace gpu

namespace programs {
namespace {

class OnGpu : public testing::TestWithParam<std::tuple<std::string, gpu::Capability>> {
 public:
  static std::string name(const testing::TestParamInfo<ParamType>& info) {
    gpu::Capability capability = std::get<1>(info.param);
    return std::get<0>(info.param) + "_" + std::to_string(capability.major) +
           std::to_string(capability.minor);
  }
};

TEST_P(OnGpu, EqualsTheCpu) {
  const Program* program = find_program(std::get<0>(GetParam()));
  ASSERT_NE(program, nullptr);
  Emulation emulation;
  // Large code gets one seed per capability, small code three.
  const bool large = program->name.starts_with("cub_device") || program->name.starts_with("thrust");
  const int seeds = emulation.control() == nullptr || large ? 1 : 3;
  for (int seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE("ATTEND_EMULATED_SEED=" + std::to_string(seed));
    emulation.start(std::get<1>(GetParam()), static_cast<std::uint64_t>(seed));
    Outcome outcome = program->run();
    EXPECT_EQ(outcome.error, cudaSuccess) << cudaGetErrorName(outcome.error);
    EXPECT_LE(outcome.difference, program->tolerance);
  }
}

std::vector<std::tuple<std::string, gpu::Capability>> runs() {
  std::vector<std::tuple<std::string, gpu::Capability>> all;
  for (const Program& program : all_programs()) {
    for (gpu::Capability capability : {gpu::Capability{7, 5}, {8, 0}, {9, 0}}) {
      if (program.least_capability <= capability.major * 10 + capability.minor) {
        all.emplace_back(program.name, capability);
      }
    }
  }
  return all;
}
INSTANTIATE_TEST_SUITE_P(Programs, OnGpu, testing::ValuesIn(runs()), OnGpu::name);

TEST(Speed, AttentionWithinTwoSeconds) {
  Emulation emulation;
  emulation.start({8, 0}, 1);
  auto begin = std::chrono::steady_clock::now();
  Outcome outcome = attention_large();
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(outcome.error, cudaSuccess) << cudaGetErrorName(outcome.error);
  EXPECT_LE(outcome.difference, 2e-3);
  RecordProperty("seconds", std::to_string(seconds.count()));
  std::printf("2 x 4 x 512 x 64: %.2f s\n", seconds.count());
  if (emulation.control() != nullptr) {
    EXPECT_LT(seconds.count(), 5.0);  // 2 on two idle cores
  }
}

TEST(Speed, AttentionOfWarpgroups) {
  Emulation emulation;
  if (emulation.control() == nullptr) GTEST_SKIP() << "needs a device of capability 9.0";
  emulation.start({9, 0}, 1);
  auto begin = std::chrono::steady_clock::now();
  Outcome outcome = attention_warpgroup_large();
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(outcome.error, cudaSuccess) << cudaGetErrorName(outcome.error);
  EXPECT_LE(outcome.difference, 2e-3);
  RecordProperty("seconds", std::to_string(seconds.count()));
  std::printf("2 x 4 x 512 x 64: %.2f s\n", seconds.count());
  EXPECT_LT(seconds.count(), 5.0);
}

TEST(Counts, AttentionOf150Queries) {
  Emulation emulation;
  if (emulation.control() == nullptr) GTEST_SKIP() << "a real GPU counts nothing";
  emulation.start({8, 0}, 1);
  ASSERT_EQ(attention().error, cudaSuccess);
  std::vector<gpu::LaunchRecord> launches = emulation.control()->take_launches();
  ASSERT_EQ(launches.size(), 1u);
  const gpu::Counts& counts = launches[0].counts;
  // 2 heads x 3 query blocks x 4 warps x 3 key tiles x (32 for the scores + 32 for the output).
  std::uint64_t products = 0;
  for (const auto& [shape, executed] : counts.mma) products += executed;
  EXPECT_EQ(products, 2u * 3 * 4 * 3 * 64);
  EXPECT_EQ(counts.blocks, 6u);
  EXPECT_EQ(counts.warps, 24u);
  EXPECT_EQ(counts.shared_conflicts, 0u);
  EXPECT_EQ(counts.local_bytes, 0u);
  // Q once; K and V once per query block; 2 bytes, or 4 for what is written.
  const std::uint64_t tensor = 2 * 150 * 64;
  EXPECT_EQ(counts.global_bytes_read, 2 * tensor * (1 + 2 * 3));
  EXPECT_EQ(counts.global_bytes_written, 4 * tensor);
}

}  // namespace
}  // namespace programs
