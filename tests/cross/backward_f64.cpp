#include "backward_check.hpp"

template void cross::check_backward<double>(const support::Case&);
