#include "computation.hpp"

#include <Eigen/Core>
#include <stdexcept>
#include <utility>

namespace bench {

extern template std::unique_ptr<Computation> make_computation_of<float>(const Row&, Inputs);
extern template std::unique_ptr<Computation> make_computation_of<double>(const Row&, Inputs);
extern template std::unique_ptr<Computation> make_computation_of<Eigen::half>(const Row&, Inputs);
extern template std::unique_ptr<Computation> make_computation_of<Eigen::bfloat16>(const Row&,
                                                                                  Inputs);

std::unique_ptr<Computation> make_computation(const Row& row, Inputs inputs) {
  switch (row.problem.dtype) {
    case attend::Dtype::f32:
      return make_computation_of<float>(row, std::move(inputs));
    case attend::Dtype::f16:
      return make_computation_of<Eigen::half>(row, std::move(inputs));
    case attend::Dtype::bf16:
      return make_computation_of<Eigen::bfloat16>(row, std::move(inputs));
    case attend::Dtype::f64:
      return make_computation_of<double>(row, std::move(inputs));
  }
  throw std::invalid_argument("no such element type");
}

}  // namespace bench
