#include "computation.inl"

template std::unique_ptr<bench::Computation> bench::make_computation_of<Eigen::half>(
    const bench::Row&, bench::Inputs);
