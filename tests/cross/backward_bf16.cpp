#include "backward_check.hpp"

template void cross::check_backward<Eigen::bfloat16>(const support::Case&);
