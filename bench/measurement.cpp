#include "measurement.hpp"

#include <algorithm>
#include <attend/select/choose.hpp>
#include <cmath>
#include <limits>
#include <utility>

#include "inputs.hpp"
#include "memory.hpp"

namespace bench {
namespace {

// Bytes of q, k, v and the output.
std::int64_t tensor_bytes(const attend::Problem& p) {
  const std::int64_t queries = p.batch * p.heads * p.len_q, keys = p.batch * p.heads_kv * p.len_k;
  return (queries + keys) * (p.head_dim + p.head_dim_v) * size_bytes(p.dtype);
}

// Bounds that only a wrong result exceeds; how exact the paths are is for the tests to say.
double tolerance(const Row& row) {
  const double forward = row.problem.dtype == attend::Dtype::f64   ? 1e-6
                         : row.problem.dtype == attend::Dtype::f32 ? 1e-4
                         : row.problem.dtype == attend::Dtype::f16 ? 1e-2
                                                                   : 6e-2;
  return row.pass == Pass::forward ? forward : 4 * forward;
}

}  // namespace

double greatest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  if (a.size() != b.size()) return kNan;
  double greatest = 0;
  for (std::size_t n = 0; n < a.size(); ++n) {
    const double difference = std::abs(static_cast<double>(a[n]) - static_cast<double>(b[n]));
    if (!(difference <= std::numeric_limits<double>::max())) return kNan;
    greatest = std::max(greatest, difference);
  }
  return greatest;
}

Laboratory::Laboratory(int threads) : threads_(threads), peaks_(measure_peaks(threads)) {}

void Laboratory::enter(const Row& row) {
  row_.clear();
  computation_.reset();
  facts_.clear();
  Inputs inputs = make_inputs(row);
  recorded_.assign(inputs.recorded.begin(), inputs.recorded.end());
  if (row.decoding()) {
    const std::int64_t bytes = tensor_bytes(row.problem);
    work_ = static_cast<double>(bytes);
    peak_ = read_bandwidth(bytes, threads_);
  } else {
    const std::int64_t dims = row.problem.head_dim + row.problem.head_dim_v;
    work_ = 2 * useful_pairs(row, inputs) * static_cast<double>(dims);
    // Two products forward, five backward, as everyone counts.
    if (row.pass == Pass::backward) work_ *= 2.5;
    if (row.pass == Pass::training) work_ *= 3.5;
    peak_ = best_peak(peaks_, row.problem.dtype).flops;
  }
  computation_ = make_computation(row, std::move(inputs));
  reference_bytes_ = peak_allocation([&] { computation_->run(attend::Path::math); });
  reference_ = computation_->output();
  row_ = row.name;
}

const Facts& Laboratory::facts(const Row& row, attend::Path path) {
  if (row_ != row.name) enter(row);
  if (const auto known = facts_.find(path); known != facts_.end()) return known->second;

  const bool is_reference = path == attend::Path::math;
  const std::int64_t extra_bytes =
      is_reference ? reference_bytes_ : peak_allocation([&] { computation_->run(path); });
  const std::vector<float> output = is_reference ? reference_ : computation_->output();
  const Facts facts{
      .work = work_,
      .peak = peak_,
      .extra_bytes = extra_bytes,
      .difference = greatest_difference(output, reference_),
      .recorded_difference = recorded_.empty() ? -1 : greatest_difference(output, recorded_),
      .tolerance = tolerance(row),
      .chosen = attend::choose(row.problem, {.flash = true}).path};
  return facts_.emplace(path, facts).first->second;
}

}  // namespace bench
