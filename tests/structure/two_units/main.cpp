// Both units' results must agree to rounding, and so must the two paths in each.
#include <cmath>
#include <cstdio>

#include "unit.hpp"

static bool agree(const float* a, const float* b, std::size_t count, const char* what) {
  for (std::size_t n = 0; n < count; ++n) {
    if (!(std::fabs(a[n] - b[n]) <= 1e-5f)) {  // written so that NaN fails
      std::printf("%s differ at %zu: %g and %g\n", what, n, static_cast<double>(a[n]),
                  static_cast<double>(b[n]));
      return false;
    }
  }
  return true;
}

int main() {
  const std::vector<float> a = first::results(), b = second::results();
  const std::size_t half = a.size() / 2;
  if (a.empty() || a.size() != b.size()) return 1;
  const bool units = agree(a.data(), b.data(), a.size(), "the units");
  const bool paths = agree(a.data(), a.data() + half, half, "the paths");
  return units && paths ? 0 : 1;
}
