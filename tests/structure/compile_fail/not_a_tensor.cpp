// refused: TensorInMemory

void call(const std::vector<float>& numbers) { attention(numbers, k, v); }
