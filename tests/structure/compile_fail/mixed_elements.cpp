// refused: TensorOfElements

void call(const Tensor<double, 4>& k64) { attention(q, k64, v); }
