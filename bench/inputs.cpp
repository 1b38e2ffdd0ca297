#include "inputs.hpp"

#include <cmath>
#include <cstdint>
#include <fstream>
#include <stdexcept>

#include "../tests/support/npy.hpp"

namespace bench {
namespace {

// SplitMix64 (Steele, Lea, Flood, 2014): fast, so that caches of 32k keys are made in no time.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed) {}

  std::uint64_t bits() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // Uniform in [-sqrt 3, sqrt 3): variance 1.
  float number() { return (static_cast<float>(bits() >> 40) * 0x1p-23f - 1.f) * std::sqrt(3.f); }

  Buffer<float> buffer(std::int64_t count) {
    Buffer<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = number();
    return values;
  }

 private:
  std::uint64_t state_;
};

struct Counts {
  std::int64_t q, k, v, out, mask, scores;
};

Counts counts(const Row& row) {
  const attend::Problem& p = row.problem;
  const std::int64_t queries = p.batch * p.heads * p.len_q, keys = p.batch * p.heads_kv * p.len_k;
  return {.q = queries * p.head_dim,
          .k = keys * p.head_dim,
          .v = keys * p.head_dim_v,
          .out = queries * p.head_dim_v,
          .mask = row.mask == Mask::none      ? 0
                  : row.mask == Mask::padding ? p.batch * p.len_k
                                              : p.len_q * p.len_k,
          .scores = p.heads * p.len_q * p.len_k};
}

support::NpyArray recorded(const std::string& name, std::int64_t count) {
  support::NpyArray array = support::read_npy(ATTEND_TEST_DATA "/minilm/" + name + ".npy");
  if (static_cast<std::int64_t>(array.data.size()) != count)
    throw std::runtime_error(name + ".npy has not the row's shape");
  return array;
}

Buffer<float> floats(const support::NpyArray& array) {
  Buffer<float> values;
  values.reserve(array.data.size());
  for (const double value : array.data) values.push_back(static_cast<float>(value));
  return values;
}

Inputs recorded_inputs(const Row& row) {
  const Counts count = counts(row);
  Inputs inputs;
  inputs.q = floats(recorded(row.recorded + ".q", count.q));
  inputs.k = floats(recorded(row.recorded + ".k", count.k));
  inputs.v = floats(recorded(row.recorded + ".v", count.v));
  inputs.recorded = floats(recorded(row.recorded + ".out", count.out));
  const std::string mask = row.recorded.substr(0, row.recorded.find('.')) + ".mask";
  const support::NpyArray keep = recorded(mask, count.mask);
  inputs.mask = std::make_unique<bool[]>(keep.data.size());
  for (std::size_t n = 0; n < keep.data.size(); ++n) inputs.mask[n] = keep.data[n] != 0;
  return inputs;
}

template <class T>
void read(const std::string& folder, const std::string& name, T* to, std::int64_t count) {
  std::ifstream file(folder + "/" + name, std::ios::binary);
  file.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(sizeof(T)) * count);
  if (!file) throw std::runtime_error(folder + "/" + name + " is missing or too short");
}

bool allowed(const Row& row, const Inputs& inputs, std::int64_t b, std::int64_t i, std::int64_t j) {
  const attend::Problem& p = row.problem;
  const std::int64_t position = i + p.len_k - p.len_q;
  if (row.causal && j > position) return false;
  if (row.extra == Extra::window && (j > position || j < position - kWindowLeft)) return false;
  if (row.mask == Mask::none) return true;
  return inputs.mask[static_cast<std::size_t>(row.mask == Mask::padding ? b * p.len_k + j
                                                                        : i * p.len_k + j)];
}

}  // namespace

Inputs make_inputs(const Row& row) {
  if (!row.recorded.empty()) return recorded_inputs(row);
  const attend::Problem& p = row.problem;
  const Counts count = counts(row);
  Numbers numbers(7);
  Inputs inputs;
  inputs.q = numbers.buffer(count.q);
  inputs.k = numbers.buffer(count.k);
  inputs.v = numbers.buffer(count.v);
  if (row.pass != Pass::forward) inputs.grad_out = numbers.buffer(count.out);
  if (row.extra == Extra::bias) inputs.bias = numbers.buffer(count.scores);
  if (row.extra == Extra::alibi || row.extra == Extra::sink) {
    inputs.per_head.assign(static_cast<std::size_t>(p.heads), 0.125f);
  }
  if (row.mask != Mask::none) {
    inputs.mask = std::make_unique<bool[]>(static_cast<std::size_t>(count.mask));
    for (std::int64_t n = 0; n < count.mask; ++n) {
      const std::int64_t b = n / p.len_k, j = n % p.len_k;
      const bool keep = row.mask == Mask::full ? numbers.bits() % 16 != 0
                                               : (b > 0 && b == p.batch - 1) || j < p.len_k * 3 / 4;
      inputs.mask[static_cast<std::size_t>(n)] = keep;
    }
  }
  return inputs;
}

Inputs read_inputs(const Row& row, const std::string& folder) {
  const Counts count = counts(row);
  Inputs inputs;
  const auto floats_of = [&](const char* name, std::int64_t size) {
    Buffer<float> values(static_cast<std::size_t>(size));
    read(folder, name, values.data(), size);
    return values;
  };
  inputs.q = floats_of("q", count.q);
  inputs.k = floats_of("k", count.k);
  inputs.v = floats_of("v", count.v);
  if (row.pass != Pass::forward) inputs.grad_out = floats_of("grad_out", count.out);
  if (row.extra == Extra::bias) inputs.bias = floats_of("bias", count.scores);
  if (row.mask != Mask::none) {
    inputs.mask = std::make_unique<bool[]>(static_cast<std::size_t>(count.mask));
    read(folder, "mask", inputs.mask.get(), count.mask);
  }
  return inputs;
}

double useful_pairs(const Row& row, const Inputs& inputs) {
  const attend::Problem& p = row.problem;
  const double all = static_cast<double>(p.batch * p.heads) * static_cast<double>(p.len_q) *
                     static_cast<double>(p.len_k);
  if (row.mask == Mask::none && row.extra != Extra::window) {
    if (!row.causal) return all;
    if (p.len_q == p.len_k) return all / 2;
  }
  std::int64_t count = 0;
  for (std::int64_t b = 0; b < p.batch; ++b)
    for (std::int64_t i = 0; i < p.len_q; ++i)
      for (std::int64_t j = 0; j < p.len_k; ++j) count += allowed(row, inputs, b, i, j) ? 1 : 0;
  return static_cast<double>(count * p.heads);
}

}  // namespace bench
