// Included by each engine that has all operations of its own, after them.

/// The engine's table for element type T.
template <class L, class T>
constexpr Kernels<T> kernels(const char* name, const Tuning& tuning) {
  Kernels<T> engine{};
  engine.merge = &merge<L>;
  engine.store = &store<L, T>;
  engine.mask_words = &mask_words<L>;
  engine.attend_rows = &attend_rows<L, T>;
  return with_products<L, T>(engine, name, tuning);
}
