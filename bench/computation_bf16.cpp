#include "computation.inl"

template std::unique_ptr<bench::Computation> bench::make_computation_of<Eigen::bfloat16>(
    const bench::Row&, bench::Inputs);
