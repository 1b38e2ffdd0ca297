// refused: error: .*mask: expected a tensor of bool, of rank 2 or 4

void call() { attention.forward(q, k, v, {.mask = 1}); }
