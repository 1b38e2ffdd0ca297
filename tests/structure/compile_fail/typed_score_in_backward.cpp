// refused: error: .*score_mod: for its derivative the function is called with a Dual number

void call(const attend::Forward<float>& saved) {
  attention.backward(out, saved, q, k, v, {},
                     attend::score_mod([](float score, attend::Index) { return score; }));
}
