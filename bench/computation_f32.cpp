#include "computation.inl"

template std::unique_ptr<bench::Computation> bench::make_computation_of<float>(const bench::Row&,
                                                                               bench::Inputs);

const char* bench::engine() { return attend::cpu::name(attend::cpu::default_engine()); }
