#include "forward_check.hpp"

template void cross::check_forward<double>(const support::Case&);
