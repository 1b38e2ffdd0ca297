// refused: TensorOfRank

void call(const Tensor<float, 3>& flat) { attention(flat, k, v); }
