// What clang-tidy reads: the public face and all behind it, with what a program makes of it.
#include <attend/attend.hpp>

template class attend::Attend<float>;
