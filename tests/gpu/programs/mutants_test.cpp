// Every planted bug is caught, by the fault it is or by its wrong result.
#include "mutants.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>

#include "emulation.hpp"
#include "programs.hpp"

namespace programs {

void PrintTo(const Mutant& mutant, std::ostream* out) { *out << mutant.name; }

namespace {

class Mutants : public testing::TestWithParam<Mutant> {};

TEST_P(Mutants, AreCaught) {
  const Mutant& mutant = GetParam();
  const Program* program = find_program(mutant.kernel.program);
  ASSERT_NE(program, nullptr);
  Emulation emulation;
  if (emulation.control() == nullptr) GTEST_SKIP() << "a real GPU takes no patched PTX from us";
  emulation.print_failures = false;
  emulation.step_limit = 1'000'000;
  bool applied = false;
  auto patch = [&](std::string ptx) {
    std::string changed = mutated(ptx, mutant);
    applied = applied || !changed.empty();
    return changed.empty() ? ptx : changed;
  };
  // A bug that only some orders of warps show needs some luck, but not much.
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    SCOPED_TRACE("ATTEND_EMULATED_SEED=" + std::to_string(seed));
    const bool hopper = program->least_capability == 90;
    emulation.start(hopper ? gpu::Capability{9, 0} : gpu::Capability{8, 0}, seed, patch);
    Outcome outcome = program->run();
    ASSERT_TRUE(applied) << "nothing in the PTX to change";
    std::vector<gpu::Report> failures = emulation.control()->take_failures();
    if (!failures.empty()) {
      EXPECT_NE(std::find(mutant.faults.begin(), mutant.faults.end(), failures[0].fault),
                mutant.faults.end())
          << failures[0].text();
      return;
    }
    ASSERT_EQ(outcome.error, cudaSuccess) << cudaGetErrorName(outcome.error);
    if (outcome.difference > program->tolerance) {
      EXPECT_TRUE(mutant.faults.empty()) << "a wrong result, but no fault was reported";
      return;
    }
  }
  ADD_FAILURE() << "it survived";
}

std::string mutant_name(const testing::TestParamInfo<Mutant>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(All, Mutants, testing::ValuesIn(all_mutants()), mutant_name);

TEST(MutantList, HasAtLeastForty) { EXPECT_GE(all_mutants().size(), 40u); }

}  // namespace
}  // namespace programs
