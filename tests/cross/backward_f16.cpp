#include "backward_check.hpp"

template void cross::check_backward<Eigen::half>(const support::Case&);
