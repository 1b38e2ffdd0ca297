#include "forward_check.hpp"

template void cross::check_forward<float>(const support::Case&);
