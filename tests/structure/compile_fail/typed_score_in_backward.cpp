// refused: FunctorWithDerivative

void call(const attend::Forward<float>& saved) {
  attention.backward(out, saved, q, k, v, {},
                     attend::score_mod([](float score, attend::Index) { return score; }));
}
