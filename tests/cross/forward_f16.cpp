#include "forward_check.hpp"

template void cross::check_forward<Eigen::half>(const support::Case&);
