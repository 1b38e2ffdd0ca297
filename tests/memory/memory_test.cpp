// How much memory a call takes beside its arguments: every allocation of the program is counted,
// whoever makes it (operator new, Eigen's aligned malloc, the standard library).
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <attend/attend.hpp>
#include <cerrno>
#include <cstdint>
#include <string>

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}

namespace {

std::atomic<std::int64_t> held{0}, peak{0};
std::atomic<std::size_t> most_at_once{SIZE_MAX};  // of a single allocation that succeeds

void* count(void* memory) {
  if (memory == nullptr) return memory;
  if (malloc_usable_size(memory) > most_at_once) {
    __libc_free(memory);
    return nullptr;
  }
  const auto size = static_cast<std::int64_t>(malloc_usable_size(memory));
  const std::int64_t now = held.fetch_add(size) + size;
  std::int64_t most = peak.load();
  while (now > most && !peak.compare_exchange_weak(most, now)) {
  }
  return memory;
}
void uncount(void* memory) {
  if (memory != nullptr) held -= static_cast<std::int64_t>(malloc_usable_size(memory));
}

}  // namespace

// glibc's own names: these take their place in the whole program.
extern "C" {
void* malloc(std::size_t size) { return count(__libc_malloc(size)); }
void* calloc(std::size_t n, std::size_t size) { return count(__libc_calloc(n, size)); }
void* realloc(void* old, std::size_t size) {
  uncount(old);
  return count(__libc_realloc(old, size));
}
void* memalign(std::size_t alignment, std::size_t size) {
  return count(__libc_memalign(alignment, size));
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return count(__libc_memalign(alignment, size));
}
int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
  void* const memory = count(__libc_memalign(alignment, size));
  if (memory == nullptr) return ENOMEM;
  *result = memory;
  return 0;
}
void free(void* memory) {
  uncount(memory);
  __libc_free(memory);
}
}

namespace {

constexpr std::int64_t kDim = 8;  // scores take the same room whatever it is

// Greatest number of bytes held during a call, beyond those held before it.
template <class T>
std::int64_t extra(bool flash, std::int64_t len_q, std::int64_t len_k,
                   const attend::Call<T>& call = {}) {
  const std::vector<T> row(kDim, T(0.5f));
  const attend::View<const T, 4> q(row.data(), {1, 2, len_q, kDim}, {0, 0, 0, 1});
  const attend::View<const T, 4> k(row.data(), {1, 2, len_k, kDim}, {0, 0, 0, 1});
  std::vector<T> memory(static_cast<std::size_t>(2 * len_q * kDim));
  const attend::View<T, 4> out(memory.data(), {1, 2, len_q, kDim});
  const attend::Attend<T> attention{{.flash = flash}};
  attention.forward_into(out, q, k, k, call);  // pools and tables are made once
  const std::int64_t before = held;
  peak = before;
  attention.forward_into(out, q, k, k, call);
  return peak - before;
}

// The same of a backward pass of the fused path, by one thread.
template <class T, class... Mods>
std::int64_t extra_backward(std::int64_t len_q, std::int64_t len_k, attend::Call<T> call = {},
                            const Mods&... mods) {
  constexpr std::int64_t kHeads = 16;  // so many that the keys are not cut into parts
  const int threads = attend::threads();
  attend::set_threads(1);
  const std::vector<T> row(kDim, T(0.5f));
  const attend::View<const T, 4> q(row.data(), {1, kHeads, len_q, kDim}, {0, 0, 0, 1});
  const attend::View<const T, 4> k(row.data(), {1, kHeads, len_k, kDim}, {0, 0, 0, 1});
  const attend::Attend<T> attention{{.flash = true}};
  const auto saved = attention.forward(q, k, k, call, mods...);
  attend::Tensor<T, 4> dq(1, kHeads, len_q, kDim), dk(1, kHeads, len_k, kDim);
  attend::Tensor<T, 4> dv(1, kHeads, len_k, kDim);
  attend::Tensor<attend::RealOf<T>, 4> dbias(1, 1, 1, len_k);
  attend::Tensor<attend::RealOf<T>, 1> dparameters(attend::score_mod_of(mods...).parameters());
  attend::GradientOutputs<T> outputs{.dq = dq, .dk = dk, .dv = dv};
  if (call.bias.given()) outputs.dbias = dbias;
  if (dparameters.size() > 0) outputs.dparameters = dparameters;
  std::int64_t before = 0;
  for (int n = 0; n < 2; ++n) {  // pools and tables are made once
    before = peak = held.load();
    attention.backward_into(outputs, q, saved, q, k, k, call, mods...);
  }
  attend::set_threads(threads);
  return peak - before;
}

TEST(Memory, AllocationsAreCounted) {
  const std::int64_t before = held;
  {
    const std::vector<char> a(1000);
    const Eigen::VectorXf b(1000);
    // A compiler may leave out an allocation that nobody looks at.
    for (const void* volatile seen :
         {static_cast<const void*>(a.data()), static_cast<const void*>(b.data())})
      static_cast<void>(seen);
    EXPECT_GE(held - before, 5000);
  }
  EXPECT_EQ(held, before);
}

// The math path holds the scores; this also shows that the measure sees them.
TEST(Memory, MathGrowsWithTheScores) {
  EXPECT_GE(extra<float>(false, 256, 2048), 256 * 2048 * 4);
  EXPECT_GE(extra<float>(false, 256, 4096), 256 * 4096 * 4);
}

template <class T>
void check_fused() {
  // A thread takes its memory when its first piece of work comes, which is chance: so one thread.
  const int threads = attend::threads();
  attend::set_threads(1);
  // With queries enough, keys cost nothing.
  const std::int64_t small = extra<T>(true, 4096, 512);
  EXPECT_LE(extra<T>(true, 4096, 2048), small + 4096);
  // Nothing near the score matrix, and queries cost at most in proportion.
  EXPECT_LE(extra<T>(true, 4096, 2048), 4096 * 2048 * 4 / 16);
  EXPECT_LE(extra<T>(true, 8192, 512), 2 * small + 4096);
  // With few queries the keys are cut into parts, and each part keeps its rows: a bounded number.
  EXPECT_LE(extra<T>(true, 64, 262144), extra<T>(true, 64, 65536) + 4096);
  // Each thread more costs what one does, at most.
  attend::set_threads(3);
  EXPECT_LE(extra<T>(true, 4096, 512), 3 * small + 4096);
  attend::set_threads(threads);
}

TEST(Memory, FusedDoesNotGrowWithTheKeysFloat) { check_fused<float>(); }
TEST(Memory, FusedDoesNotGrowWithTheKeysDouble) { check_fused<double>(); }
TEST(Memory, FusedDoesNotGrowWithTheKeysHalf) { check_fused<Eigen::half>(); }
TEST(Memory, FusedDoesNotGrowWithTheKeysBfloat16) { check_fused<Eigen::bfloat16>(); }

TEST(Memory, FusedVariantsNeither) {
  const float zero = 0;
  const bool keep = true;
  for (const std::int64_t len_k : {2048, 16384}) {
    const attend::View<const float, 4> bias(&zero, {1, 2, 256, len_k}, {0, 0, 0, 0});
    const attend::View<const bool, 4> mask(&keep, {1, 2, 256, len_k}, {0, 0, 0, 0});
    EXPECT_LE(
        extra<float>(
            true, 256, len_k,
            {.softcap = 2, .bias = bias, .mask = mask, .causal = attend::Causal::bottom_right}),
        4 << 20);
  }
}

template <class T>
void check_backward() {
  const std::int64_t half = extra_backward<T>(512, 512), whole = extra_backward<T>(1024, 1024);
  EXPECT_LE(whole, 2 * half + 4096);
  EXPECT_LE(whole, 1024 * 1024 * 4);  // the scores of one head
}

TEST(Memory, FusedBackwardIsLinearFloat) { check_backward<float>(); }
TEST(Memory, FusedBackwardIsLinearDouble) { check_backward<double>(); }
TEST(Memory, FusedBackwardIsLinearHalf) { check_backward<Eigen::half>(); }
TEST(Memory, FusedBackwardIsLinearBfloat16) { check_backward<Eigen::bfloat16>(); }

TEST(Memory, FusedBackwardOfVariantsToo) {
  attend::Tensor<float, 2> table(1, 25);
  table.setZero();
  const auto extra_of = [&](std::int64_t len) {
    const float zero = 0;
    const bool keep = true;
    const attend::View<const float, 4> bias(&zero, {1, 1, 1, len}, {0, 0, 0, 0});
    const attend::View<const bool, 4> mask(&keep, {1, 1, len, len}, {0, 0, 0, 0});
    return extra_backward<float>(
        len, len,
        {.softcap = 2, .bias = bias, .mask = mask, .causal = attend::Causal::bottom_right},
        attend::relative_position_bias(table),
        attend::mask_mod([](attend::Index at) { return (at.i + at.j) % 5 != 0; }));
  };
  EXPECT_LE(extra_of(512), 2 * extra_of(256) + 4096);
}

// Where the host has no memory for it a path says what it was that it needed; the object is as it
// was.
TEST(Memory, TooLittleOfItIsAnError) {
  const std::vector<float> row(kDim, 0.5f);
  const attend::View<const float, 4> q(row.data(), {1, 2, 1000, kDim}, {0, 0, 0, 1});
  const attend::View<const float, 4> k(row.data(), {1, 2, 3000, kDim}, {0, 0, 0, 1});
  const attend::Attend<float> attention{{.dropout = 0.1, .flash = true}};
  const attend::Rng rng = attention.rng();
  const auto error_of = [](const auto& call) -> std::string {
    most_at_once = 4 << 20;
    try {
      call();
    } catch (const attend::memory_error& error) {
      most_at_once = SIZE_MAX;
      return error.what();
    }
    most_at_once = SIZE_MAX;
    return "";
  };
  EXPECT_EQ(error_of([&] { attention.forward(q, k, k, {.path = attend::Path::math}); }),
            "no memory for what path math keeps: per thread the scores of a head, 1000 queries x "
            "3000 keys");
  EXPECT_EQ(attention.rng(), rng);
  EXPECT_EQ(error_of([&] { attention.forward(q, k, k); }), "");  // fused keeps less
  const auto result = attention.forward(q, k, k);
  EXPECT_EQ(
      error_of(
          [&] { attention.backward(result.out, result, q, k, k, {.path = attend::Path::math}); }),
      "no memory for what path math keeps: per thread the scores of a head, 1000 queries x 3000 "
      "keys");
  const attend::View<const float, 4> many(row.data(), {100, 2, 1000, kDim}, {0, 0, 0, 1});
  const attend::View<const float, 4> no_keys(row.data(), {100, 2, 0, kDim}, {0, 0, 0, 1});
  EXPECT_EQ(error_of([&] { attention.forward(many, no_keys, no_keys); }),
            "no memory for a result of extents (100, 2, 1000, 8)");
}

// Decoding cuts the keys into parts, and keeps a row for each.
TEST(Memory, DecodingKeepsOneRowPerPart) {
  EXPECT_LE(extra<float>(true, 1, 100000), 1 << 20);
  EXPECT_LE(extra<float>(true, 1, 1000000), 1 << 20);
}

}  // namespace
