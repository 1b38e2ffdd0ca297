#include "cuda/planted.hpp"

#include <algorithm>
#include <attend/core/error.hpp>
#include <cstddef>
#include <regex>

#include "gpu/runtime/control.hpp"

namespace planted {
namespace {

// Whether a kernel is among those that mutants and what is called with them need: of half or float,
// and head dims up to 64, if it is one of an engine. The rest would only have to be read.
bool is_needed(const std::string& entry) {
  const auto has = [&](const char* part) { return entry.find(part) != std::string::npos; };
  return !has("4BF16") && (!has("Engine") || has("Li64E"));
}

// PTX of the kernels that are needed, with an instruction changed if there is a mutant.
std::string planted_ptx(const std::string& ptx, const Mutant* mutant, int& found) {
  std::string result;
  bool inside = false, needed = true;
  std::ptrdiff_t depth = 0;  // of braces
  const std::regex pattern(mutant == nullptr ? "" : mutant->instruction),
      kernel(mutant == nullptr ? "" : mutant->kernel);
  for (std::size_t begin = 0; begin < ptx.size();) {
    const std::size_t end = std::min(ptx.find('\n', begin), ptx.size() - 1) + 1;
    std::string line = ptx.substr(begin, end - begin);
    begin = end;
    if (line.find(".entry") != std::string::npos) {
      needed = is_needed(line);
      inside = mutant != nullptr && std::regex_search(line, kernel);
    }
    if (inside && std::regex_search(line, pattern) && found++ == mutant->which)
      line = std::regex_replace(line, pattern, mutant->replacement);
    if (needed) result += line;
    const std::ptrdiff_t closed = std::count(line.begin(), line.end(), '}');
    depth += std::count(line.begin(), line.end(), '{') - closed;
    if (closed > 0 && depth == 0) needed = true;
  }
  return result;
}

// Until the end of its life the emulated GPU is one device that knows the kernels that are needed,
// with a mutant if there is one.
class Restarted {
 public:
  Restarted(const gpu::Capability& capability, const Mutant* mutant) {
    gpu::RuntimeOptions options = before_;
    options.capabilities = {capability};
    options.launch.step_limit = 4'000'000;  // many times what these kernels need
    if (mutant != nullptr) options.print_failures = false;
    gpu::emulated_control()->restart(options, [this, mutant](const std::string& ptx) {
      return planted_ptx(ptx, mutant, found_);
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
