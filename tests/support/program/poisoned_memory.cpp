// Scratch memory of threads comes from the aligned operator new. Here all its bytes are set, which
// makes every float in it a NaN: a result that depends on memory nobody wrote is wrong in each of
// these tests.
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  const std::size_t whole = (size + unit - 1) / unit * unit;
  void* const memory = std::aligned_alloc(unit, whole);
  if (memory == nullptr) throw std::bad_alloc();
  return std::memset(memory, 0xff, whole);
}

void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
