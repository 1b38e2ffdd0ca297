// refused: TensorInMemory

void call() { attention(q + q, k, v); }
