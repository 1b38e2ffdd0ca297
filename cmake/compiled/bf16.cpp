// A part of attend::compiled.
#include <attend/attend.hpp>

ATTEND_HOST_PATHS(template, Eigen::bfloat16)
