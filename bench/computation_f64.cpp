#include "computation.inl"

template std::unique_ptr<bench::Computation> bench::make_computation_of<double>(const bench::Row&,
                                                                                bench::Inputs);
