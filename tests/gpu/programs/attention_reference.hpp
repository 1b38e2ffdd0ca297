// Attention by the CPU, for the programs that compute it.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace programs {

// softmax(scale q k^T) v of one query: q, k, v of one head, rows of `head_dim`.
template <typename T>
std::vector<double> attend_one(const T* q, const T* k, const T* v, int length, int head_dim,
                               float scale) {
  std::vector<double> weights(length), row(head_dim);
  double most = -1e300, sum = 0;
  for (int j = 0; j < length; ++j) {
    for (int c = 0; c < head_dim; ++c) {
      weights[j] += scale * double(float(q[c])) * double(float(k[size_t(j) * head_dim + c]));
    }
    most = std::max(most, weights[j]);
  }
  for (double& weight : weights) sum += weight = std::exp(weight - most);
  for (int j = 0; j < length; ++j) {
    for (int c = 0; c < head_dim; ++c) {
      row[c] += weights[j] / sum * double(float(v[size_t(j) * head_dim + c]));
    }
  }
  return row;
}

}  // namespace programs
