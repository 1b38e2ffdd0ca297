#include "forward_check.hpp"

template void cross::check_forward<Eigen::bfloat16>(const support::Case&);
