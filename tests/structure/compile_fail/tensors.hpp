// What all cases beside this file begin with (it is compiled once, ahead of them). Each of them but
// control.cpp gets one thing wrong.
#include <attend/attend.hpp>
#include <vector>

template <class T, int Rank>
using Tensor = Eigen::Tensor<T, Rank, Eigen::RowMajor>;

inline const attend::Attend<float> attention;
inline Tensor<float, 4> out, q, k, v, bias;
inline Tensor<bool, 4> mask;
inline std::vector<std::int32_t> lengths;
