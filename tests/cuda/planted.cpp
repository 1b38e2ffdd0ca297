#include "cuda/planted.hpp"

#include <algorithm>
#include <attend/core/error.hpp>
#include <cstddef>
#include <regex>

#include "gpu/runtime/control.hpp"

namespace planted {
namespace {

// A kernel's PTX with an instruction changed.
std::string planted_kernel(const std::string& ptx, const Mutant& mutant, int& found) {
  const std::regex pattern(mutant.instruction);
  std::string result;
  for (std::size_t begin = 0; begin < ptx.size();) {
    const std::size_t end = std::min(ptx.find('\n', begin), ptx.size() - 1) + 1;
    const std::string line = ptx.substr(begin, end - begin);
    begin = end;
    const bool changes = std::regex_search(line, pattern) && found++ == mutant.which;
    result += changes ? std::regex_replace(line, pattern, mutant.replacement) : line;
  }
  return result;
}

// The same in the PTX of all kernels: each from its .entry to the next.
std::string planted_ptx(const std::string& ptx, const Mutant& mutant, int& found) {
  const std::regex kernel(mutant.kernel);
  std::size_t begin = std::min(ptx.find(".entry"), ptx.size());
  std::string result = ptx.substr(0, begin);
  while (begin < ptx.size()) {
    const std::size_t end = std::min(ptx.find(".entry", begin + 1), ptx.size());
    const std::string head = ptx.substr(begin, std::min(ptx.find('\n', begin), end) - begin);
    if (std::regex_search(head, kernel)) {
      result += planted_kernel(ptx.substr(begin, end - begin), mutant, found);
    } else {
      result.append(ptx, begin, end - begin);
    }
    begin = end;
  }
  return result;
}

// Until the end of its life the emulated GPU is one device, with a mutant if there is one.
class Restarted {
 public:
  Restarted(const gpu::Capability& capability, const Mutant* mutant) {
    gpu::RuntimeOptions options = before_;
    options.capabilities = {capability};
    options.launch.step_limit = 4'000'000;  // many times what these kernels need
    options.print_failures = mutant == nullptr;
    gpu::emulated_control()->restart(options, [this, mutant](const std::string& ptx) {
      return mutant == nullptr ? ptx : planted_ptx(ptx, *mutant, found_);
    });
  }
  ~Restarted() { gpu::emulated_control()->restart(before_); }
  Restarted(const Restarted&) = delete;
  Restarted& operator=(const Restarted&) = delete;

  /// How many instructions have matched.
  int found() const { return found_; }

 private:
  const gpu::RuntimeOptions before_ = gpu::emulated_control()->options();
  int found_ = 0;
};

}  // namespace

void PrintTo(const Mutant& mutant, std::ostream* out) { *out << mutant.name; }

std::string name_of(const ::testing::TestParamInfo<Mutant>& info) { return info.param.name; }

void Mutants::expect_caught(const std::function<bool()>& right, const gpu::Capability& capability) {
  if (gpu::emulated_control() == nullptr) GTEST_SKIP() << "not the emulated GPU";
  const Restarted emulated(capability, &GetParam());
  bool caught = false;
  try {
    caught = !right();
  } catch (const attend::device_error&) {
    caught = true;
  }
  EXPECT_GT(emulated.found(), GetParam().which) << "there is no such instruction";
  EXPECT_TRUE(caught);
}

bool right_without_mutant(const std::function<bool()>& right, const gpu::Capability& capability) {
  if (gpu::emulated_control() == nullptr) return right();
  const Restarted emulated(capability, nullptr);
  return right();
}

std::string replaced(const std::string& text, const std::string& pattern,
                     const std::string& replacement) {
  return std::regex_replace(text, std::regex(pattern), replacement);
}

}  // namespace planted
