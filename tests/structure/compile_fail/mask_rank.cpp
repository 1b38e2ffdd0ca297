// refused: Argument

void call(const Tensor<bool, 3>& cube) { attention(q, k, v, cube); }
