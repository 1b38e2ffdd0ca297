// refused: Call<float>

void call() { attention.forward(q, k, v, {.mask = bias}); }
