// refused: error: .*alibi or sink: expected a tensor of float .*, of rank 1 or 2

void call() { attention.forward(q, k, v, {.sink = bias}); }
