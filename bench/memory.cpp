#include "memory.hpp"

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>

// A program may define malloc and its relatives itself; glibc offers its own under these names.
extern "C" {
void* __libc_malloc(std::size_t size);
void __libc_free(void* data);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* data, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}

namespace {

std::atomic<bool> watching{false};
std::atomic<std::int64_t> live{0}, peak{0};

void* taken(void* data) {
  if (data == nullptr || !watching.load(std::memory_order_relaxed)) return data;
  const auto size = static_cast<std::int64_t>(malloc_usable_size(data));
  const std::int64_t now = live.fetch_add(size) + size;
  std::int64_t most = peak.load();
  while (now > most && !peak.compare_exchange_weak(most, now)) {
  }
  return data;
}

void given_back(void* data) {
  if (data == nullptr || !watching.load(std::memory_order_relaxed)) return;
  live.fetch_sub(static_cast<std::int64_t>(malloc_usable_size(data)));
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) { return taken(__libc_malloc(size)); }

void free(void* data) {
  given_back(data);
  __libc_free(data);
}

void* calloc(std::size_t count, std::size_t size) { return taken(__libc_calloc(count, size)); }

void* realloc(void* data, std::size_t size) {
  given_back(data);
  return taken(__libc_realloc(data, size));
}

void* memalign(std::size_t alignment, std::size_t size) {
  return taken(__libc_memalign(alignment, size));
}

void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }

int posix_memalign(void** data, std::size_t alignment, std::size_t size) {
  *data = memalign(alignment, size);
  return *data == nullptr ? ENOMEM : 0;
}

}  // extern "C"

std::int64_t bench::peak_allocation(const std::function<void()>& work) {
  live = peak = 0;
  watching = true;
  work();
  watching = false;
  return peak;
}

#else

std::int64_t bench::peak_allocation(const std::function<void()>& work) {
  work();
  return -1;
}

#endif
