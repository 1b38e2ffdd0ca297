// Compiled twice, as namespace `first` and as `second`, by two compilers with different flags.
#include "unit.hpp"

#include <attend/attend.hpp>
#include <cmath>

namespace ATTEND_UNIT {

using Tensor4 = Eigen::Tensor<float, 4, Eigen::RowMajor>;

static Tensor4 waves(std::int64_t batch, std::int64_t heads, std::int64_t len, std::int64_t dim,
                     float frequency) {
  Tensor4 tensor(batch, heads, len, dim);
  for (Eigen::Index n = 0; n < tensor.size(); ++n) {
    tensor.data()[n] = std::sin(frequency * static_cast<float>(n));
  }
  return tensor;
}

std::vector<float> results() {
  const Tensor4 q = waves(2, 4, 33, 40, 0.37f), k = waves(2, 2, 70, 40, 0.11f),
                v = waves(2, 2, 70, 24, 0.23f);
  std::vector<float> all;
  for (const bool flash : {false, true}) {
    const attend::Attend<float> attention{{.flash = flash}};
    const attend::Forward<float> result =
        attention.forward(q, k, v, {.causal = attend::Causal::bottom_right});
    all.insert(all.end(), result.out.data(), result.out.data() + result.out.size());
    all.insert(all.end(), result.lse.data(), result.lse.data() + result.lse.size());
  }
  return all;
}

}  // namespace ATTEND_UNIT
