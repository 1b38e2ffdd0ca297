#include "backward_check.hpp"

template void cross::check_backward<float>(const support::Case&);
