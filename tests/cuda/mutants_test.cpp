// Bugs planted in the kernels' PTX: each must be found, by the machine or by the result.
#include <gtest/gtest.h>

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cmath>
#include <regex>
#include <string>

#include "gpu/runtime/control.hpp"

namespace {

using Half = Eigen::half;

/// A change of one instruction of the tensor-core kernel.
struct Mutant {
  std::string name;
  std::string instruction;  // a regular expression
  int which;                // of those that match, counted from 0
  std::string replacement;  // empty: the instruction is deleted
};

void PrintTo(const Mutant& mutant, std::ostream* out) { *out << mutant.name; }

std::string mutated(const std::string& ptx, const Mutant& mutant, int& found) {
  std::string result;
  bool inside = false;
  const std::regex pattern(mutant.instruction);
  for (std::size_t begin = 0; begin < ptx.size();) {
    const std::size_t end = std::min(ptx.find('\n', begin), ptx.size() - 1) + 1;
    std::string line = ptx.substr(begin, end - begin);
    if (line.find(".entry") != std::string::npos)
      inside = line.find("TensorCoreEngineINS_3F16ELi64E") != std::string::npos;
    if (inside && std::regex_search(line, pattern) && found++ == mutant.which)
      line = std::regex_replace(line, pattern, mutant.replacement);
    result += line;
    begin = end;
  }
  return result;
}

// Whether a pass with every part in it gives what the host gives.
bool right() {
  attend::Tensor<Half, 4> q(1, 2, 80, 40), k(1, 2, 150, 40), v(1, 2, 150, 48);
  q.setRandom(), k.setRandom(), v.setRandom();
  attend::Tensor<bool, 2> mask(1, 150);
  mask.setConstant(true);
  mask(0, 5) = mask(0, 70) = false;
  v(0, 0, 5, 3) = v(0, 1, 70, 47) = Half(NAN);
  const attend::Attend<Half> attention{{.dropout = 0.1, .flash = true}};
  const attend::cuda::Tensor<bool, 2> dmask(mask);
  attend::Call<Half> call{.mask = dmask,
                          .causal = attend::Causal::bottom_right,
                          .rng = attend::Rng{1, 2},
                          .path = attend::Path::mem_efficient};
  const attend::cuda::Tensor<Half, 4> dq(q), dk(k), dv(v);
  const auto result = attention.forward(dq, dk, dv, call);
  const auto out = result.out.host();
  const auto lse = result.lse.host();
  call.path = attend::Path::fused;
  call.mask = mask;
  const auto expected = attention.forward(q, k, v, call);
  for (Eigen::Index n = 0; n < out.size(); ++n)
    if (!(std::abs(float(out.data()[n]) - float(expected.out.data()[n])) < 1e-2f)) return false;
  for (Eigen::Index n = 0; n < lse.size(); ++n)
    if (!(std::abs(lse.data()[n] - expected.lse.data()[n]) < 1e-2f)) return false;
  return true;
}

class Mutants : public ::testing::TestWithParam<Mutant> {
 protected:
  void SetUp() override {
    if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
    before_ = gpu::emulated_control()->options();
  }
  void TearDown() override {
    if (gpu::emulated_control() != nullptr) gpu::emulated_control()->restart(before_, {});
  }

 private:
  gpu::RuntimeOptions before_;
};

TEST_P(Mutants, AreCaught) {
  gpu::RuntimeOptions options = gpu::emulated_control()->options();
  options.capabilities = {{8, 0}};
  options.print_failures = false;
  int found = 0;
  gpu::emulated_control()->restart(
      options, [&](const std::string& ptx) { return mutated(ptx, GetParam(), found); });
  bool caught = false;
  try {
    caught = !right();
  } catch (const attend::device_error&) {
    caught = true;
  }
  EXPECT_GT(found, GetParam().which) << "there is no such instruction";
  EXPECT_TRUE(caught);
}

INSTANTIATE_TEST_SUITE_P(
    All, Mutants,
    ::testing::Values(Mutant{"barrier_0", "bar\\.sync[^;]*;", 0, ""},
                      Mutant{"barrier_1", "bar\\.sync[^;]*;", 1, ""},
                      Mutant{"barrier_2", "bar\\.sync[^;]*;", 2, ""},
                      Mutant{"keys_not_transposed", "ldmatrix(.*)\\.trans", 0, "ldmatrix$1"},
                      Mutant{"queries_transposed", "ldmatrix(.*x4)\\.shared", 0,
                             "ldmatrix$1.trans.shared"},
                      Mutant{"product_left_out", "mma\\.sync[^;]*;", 3, ""},
                      Mutant{"exp_of_another", "ex2\\.approx", 4, "rcp.approx"},
                      Mutant{"lane_of_another", "shfl\\.sync\\.bfly", 0, "shfl.sync.idx"}),
    [](const auto& info) { return info.param.name; });

TEST(NoMutant, IsRight) { EXPECT_TRUE(right()); }

}  // namespace
