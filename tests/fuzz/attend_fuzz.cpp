// Bytes to a case: shape, strides, variant and element type; every host path, forward or backward,
// against the oracle.
// Under libFuzzer (`-fsanitize=fuzzer`) it is a fuzz target; defined with ATTEND_FUZZ_COUNT it is a
// plain program that runs random cases: `attend_fuzz COUNT [SEED]`.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <sstream>
#include <string>

#include "cross/backward_check.hpp"
#include "cross/host_paths.hpp"
#include "support/case.hpp"
#include "support/reference.hpp"

namespace {

using support::Case;
using support::Index;

/// Hands out the input's bytes; zeros after its end, so that shorter inputs are simpler cases.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  std::uint8_t next() { return at_ < size_ ? data_[at_++] : 0; }
  /// 0 <= value < bound
  int below(int bound) { return next() % bound; }
  /// low <= value <= high
  Index from(Index low, Index high) {
    const int low_byte = next();
    const int wide = low_byte + 256 * next();
    return low + wide % (high - low + 1);
  }
  template <class... Values>
  auto pick(Values... values) {
    const std::common_type_t<Values...> all[] = {values...};
    return all[below(sizeof...(values))];
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_, at_ = 0;
};

Case decode(Bytes& bytes) {
  Case c;
  c.batch = bytes.below(4);
  c.heads_kv = bytes.below(4);
  c.heads = c.heads_kv * bytes.pick(1, 2, 3);
  c.len_q = bytes.from(0, bytes.pick(4, 12, 70));
  c.len_k = bytes.from(0, bytes.pick(4, 20, 80, 300));
  c.head_dim = bytes.from(1, bytes.pick(8, 40));
  c.head_dim_v = bytes.from(0, bytes.pick(0, 40));  // 0: as head_dim
  c.scale = bytes.pick(0., 0.5, -1., 1e-3, 3., 40., 400.);
  c.softcap = bytes.pick(0., 0., 0.5, 20.);
  if (c.scale > 3 && c.softcap < 20) c.softcap = 0;  // a step: roundings would decide its side
  c.bias = static_cast<support::Bias>(bytes.below(support::kBiases));
  c.alibi = bytes.pick(support::Alibi::none, support::Alibi::per_head,
                       support::Alibi::per_batch_and_head);
  c.mask = static_cast<support::Mask>(bytes.below(support::kMasks));
  c.causal = bytes.pick(support::Causal::none, support::Causal::top_left,
                        support::Causal::bottom_right, support::Causal::offset);
  if (c.causal == support::Causal::offset) {
    for (Index b = 0; b < c.batch; ++b)
      c.offset.push_back(bytes.pick(Index{0}, Index{1} << 40, -(Index{1} << 40)) +
                         bytes.from(-80, 300));
    if (c.batch == 0) c.causal = support::Causal::top_left;
  }
  c.left = bytes.pick(Index{-1}, Index{1} << 62, bytes.from(0, 80));
  c.right = bytes.pick(Index{-1}, Index{1} << 62, bytes.from(0, 80));
  // A distance of 2^40 times a slope leaves nothing of the score in a float.
  for (const Index offset : c.offset)
    if (offset > 10000 || offset < -10000) c.alibi = support::Alibi::none;
  c.lengths =
      bytes.pick(support::Lengths::none, support::Lengths::some, support::Lengths::with_zero);
  c.sink = bytes.pick(support::Sink::none, support::Sink::finite, support::Sink::some_infinite);
  c.dropout = bytes.pick(0., 0.1, 0.5, 0.999, 1.);
  c.empty_row = bytes.pick(support::EmptyRow::zero, support::EmptyRow::uniform);
  c.layout = static_cast<support::Layout>(bytes.below(support::kLayouts));
  c.seed = static_cast<std::uint64_t>(bytes.from(1, 65535));
  return c;
}

std::string describe(const Case& c) {
  std::ostringstream text;
  text << "b " << c.batch << " h " << c.heads << "/" << c.heads_kv << " i " << c.len_q << " j "
       << c.len_k << " d " << c.head_dim << " e " << c.head_dim_v << " scale " << c.scale
       << " softcap " << c.softcap << " bias " << int(c.bias) << " alibi " << int(c.alibi)
       << " mask " << int(c.mask) << " causal " << int(c.causal) << " left " << c.left << " right "
       << c.right << " lengths " << int(c.lengths) << " sink " << int(c.sink) << " dropout "
       << c.dropout << " empty " << int(c.empty_row) << " layout " << int(c.layout) << " seed "
       << c.seed;
  for (const Index offset : c.offset) text << " offset " << offset;
  return text.str();
}

// Among a million cases some textbook computation is right by luck; here wrong logic is looked for,
// not the last bits.
constexpr double kSlack = 4;

[[noreturn]] void fail(const std::string& path, const char* type, const Case& c,
                       const std::string& faults) {
  std::fprintf(stderr, "%s, %s: %s\n%s\n", path.c_str(), type, describe(c).c_str(), faults.c_str());
  std::abort();
}

template <class T>
void check_forward(const Case& c, const char* type) {
  const oracle::Problem problem = support::problem<T>(c);
  const support::Sample<T> sample(problem, c.layout);
  const support::Reference<T> reference(problem, SIZE_MAX);
  const double last_bits = 8 * double{std::numeric_limits<attend::RealOf<T>>::epsilon()} *
                           support::greatest_size(reference.lse);
  for (const cross::NamedPath<T>& path : cross::host_paths<T>()) {
    const support::Answer answer = support::run<T>(path.run, sample);
    // Great logits are rounded by what weights, and so outputs, change by.
    const auto out = support::within(
        answer.out, reference.out,
        kSlack * reference.allowed_out + last_bits * support::greatest_size(reference.out));
    const auto lse =
        support::within(answer.lse, reference.lse, kSlack * reference.allowed_lse + last_bits);
    if (out && lse && answer.surroundings_untouched) continue;
    fail(path.name, type, c,
         std::string("out: ") + out.message() + "\nlse: " + lse.message() + "\n" +
             (answer.surroundings_untouched ? "" : "wrote outside its output"));
  }
}

template <class T>
void check_backward(const Case& c, const char* type) {
  const oracle::Problem problem = support::problem<T>(c);
  const support::Sample<T> sample(problem, c.layout);
  const cross::IncomingGradients<T> incoming(problem, c.seed + 1);
  const cross::GradientReference<T> reference(problem, incoming);
  if (!reference.serves()) return;
  const auto check_path = [&](const std::string& name, auto&& path) {
    const std::string faults =
        reference.faults(cross::run_backward(sample, incoming, problem, c.layout, 1, path), kSlack);
    if (!faults.empty()) fail("backward, " + name, type, c, faults);
  };
  check_path("math", [](auto&&... call) { attend::cpu::math_backward<T>(call...); });
  for (const attend::cpu::Engine engine : cross::engines_of<T>()) {
    const attend::cpu::EngineOverride scope(engine);
    check_path(std::string("fused, ") + name(engine),
               [](auto&&... call) { attend::cpu::fused_backward<T>(call...); });
  }
}

template <class T>
void check(const Case& c, const char* type, bool backward) {
  backward ? check_backward<T>(c, type) : check_forward<T>(c, type);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int once = (attend::set_threads(1), 0);
  (void)once;
  Bytes bytes(data, size);
  const int choice = bytes.below(8), type = choice % 4;
  const bool backward = choice >= 4;
  const Case c = decode(bytes);
  if (type == 0) check<float>(c, "f32", backward);
  if (type == 1) check<double>(c, "f64", backward);
  if (type == 2) check<Eigen::half>(c, "f16", backward);
  if (type == 3) check<Eigen::bfloat16>(c, "bf16", backward);
  return 0;
}

#ifdef ATTEND_FUZZ_COUNT
int main(int argc, char** argv) {
  const long count = argc > 1 ? std::atol(argv[1]) : ATTEND_FUZZ_COUNT;
  std::mt19937_64 random(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
  std::uint8_t bytes[64];
  for (long n = 0; n < count; ++n) {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 56);
    LLVMFuzzerTestOneInput(bytes, sizeof bytes);
    if (n % 10000 == 9999) std::printf("%ld cases\n", n + 1), std::fflush(stdout);
  }
}
#endif
