// refused: one score_mod and one mask_mod

void call() {
  const auto mask = attend::mask_mod([](attend::Index at) { return at.i >= at.j; });
  attention.forward(q, k, v, {}, mask, mask);
}
