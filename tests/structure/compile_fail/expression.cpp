// refused: TensorOf|HostTensor

void call() { attention(q + q, k, v); }
