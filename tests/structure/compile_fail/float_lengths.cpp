// refused: error: .*key_lengths or Causal::offset: expected integers of 32 or 64 bits

void call(const std::vector<float>& numbers) {
  attention.forward(q, k, v, {.key_lengths = numbers});
}
