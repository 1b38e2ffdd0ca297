// refused: error: .*mask: expected a tensor of bool, of rank 2 or 4

void call(const Tensor<bool, 3>& cube) { attention(q, k, v, cube); }
