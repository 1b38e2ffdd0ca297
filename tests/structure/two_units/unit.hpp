#pragma once

#include <vector>

namespace first {
std::vector<float> results();
}
namespace second {
std::vector<float> results();
}
