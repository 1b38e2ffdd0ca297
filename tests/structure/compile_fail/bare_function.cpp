// refused: Functor

void call() {
  attention.forward(q, k, v, {}, [](auto score, attend::Index) { return score; });
}
