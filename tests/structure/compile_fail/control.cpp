// compiles

void call() {
  attention.forward_into(out, q, k, v, {.bias = bias, .mask = mask, .key_lengths = lengths});
}
