#include "gpu/machine/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

namespace gpu {
namespace {

constexpr std::size_t kRange = std::size_t{1}
                               << 40;  // of addresses; memory is used as it is touched
constexpr std::size_t kPage = 4096;

std::size_t round_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

std::byte* address_range(std::size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw OutOfMemory("the host has no address range for the emulated memory");
  return static_cast<std::byte*>(p);
}

void open_pages(std::byte* base, std::size_t from, std::size_t to) {
  from = from / kPage * kPage;
  to = round_up(to, kPage);
  if (mprotect(base + from, to - from, PROT_READ | PROT_WRITE) != 0) {
    throw OutOfMemory("the host has no memory for the emulated device");
  }
}

std::string hex(Address address) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(address));
  return text;
}

}  // namespace

Memory::Memory(std::size_t capacity_bytes) : capacity_(capacity_bytes), range_(kRange) {
  reserved_ = address_range(range_);
  data_ = address_range(range_);
  defined_ = address_range(range_);
  next_ = std::size_t{1} << 20;
}

Memory::~Memory() {
  munmap(reserved_, range_);
  munmap(data_, range_);
  munmap(defined_, range_);
}

/// Finds addresses; the allocation is not live yet.
Address Memory::place(std::size_t bytes, std::string name, std::size_t alignment) {
  if (bytes > capacity_) throw OutOfMemory("more than the device's memory asked for");
  alignment = std::max<std::size_t>(alignment, 256);
  const std::size_t at = round_up(next_ + kRedZone, alignment);
  if (at + bytes + kRedZone > range_) {
    throw OutOfMemory("the emulated device's address range is exhausted");
  }
  next_ = at + bytes + kRedZone;
  auto allocation = std::make_shared<Allocation>();
  allocation->begin = reinterpret_cast<Address>(reserved_) + at;
  allocation->bytes = bytes;
  allocation->live = false;
  allocation->name = std::move(name);
  allocation->data = data_ + at;
  allocation->defined = defined_ + at;
  const Address begin = allocation->begin;
  allocations_[begin] = std::move(allocation);
  return begin;
}

/// A copy takes its place: launches that run may hold the one that was not live.
void Memory::enliven(std::shared_ptr<Allocation>& allocation) {
  const std::size_t bytes = allocation->bytes;
  if (in_use_ > capacity_ - bytes) {
    throw OutOfMemory("out of device memory: " + std::to_string(bytes) + " bytes asked for, " +
                      std::to_string(capacity_ - in_use_) + " of " + std::to_string(capacity_) +
                      " left");
  }
  const auto at = static_cast<std::size_t>(allocation->data - data_);
  open_pages(data_, at, at + bytes + 1);
  open_pages(defined_, at, at + bytes + 1);
  auto live = std::make_shared<Allocation>(*allocation);
  live->live = true;
  in_use_ += bytes;
  allocation = std::move(live);
}

Address Memory::allocate(std::size_t bytes, std::string name, std::size_t alignment) {
  const std::lock_guard lock(mutex_);
  const Address begin = place(bytes, std::move(name), alignment);
  try {
    enliven(allocations_.at(begin));
  } catch (const OutOfMemory&) {
    allocations_.erase(begin);
    throw;
  }
  return begin;
}

Address Memory::reserve(std::size_t bytes, std::string name, std::size_t alignment) {
  const std::lock_guard lock(mutex_);
  return place(bytes, std::move(name), alignment);
}

void Memory::revive(Address begin) {
  const std::lock_guard lock(mutex_);
  const auto it = allocations_.find(begin);
  if (it == allocations_.end() || it->second->live) {
    throw MemoryError("memory at " + hex(begin) + ", which is no reserved range or in use");
  }
  enliven(it->second);
  std::memset(it->second->defined, 0, it->second->bytes);
}

Address Memory::adopt(void* host, std::size_t bytes, Residence residence, std::string name) {
  auto allocation = std::make_shared<Allocation>();
  allocation->begin = reinterpret_cast<Address>(host);
  allocation->bytes = bytes;
  allocation->residence = residence;
  allocation->name = std::move(name);
  allocation->data = static_cast<std::byte*>(host);
  allocation->owned_shadow = std::make_shared<std::byte[]>(bytes, std::byte{0xFF});
  allocation->defined = allocation->owned_shadow.get();
  const Address begin = allocation->begin;
  const std::lock_guard lock(mutex_);
  // host addresses are used again: what was there before is forgotten
  for (auto it = allocations_.lower_bound(begin);
       it != allocations_.end() && it->first < begin + std::max<std::size_t>(bytes, 1);) {
    it = allocations_.erase(it);
  }
  allocations_[begin] = std::move(allocation);
  return begin;
}

void Memory::release(Address begin) {
  const std::lock_guard lock(mutex_);
  const auto it = allocations_.find(begin);
  if (it == allocations_.end() || !it->second->live) {
    throw MemoryError("released " + hex(begin) + ", which is not the start of a live allocation");
  }
  auto released = std::make_shared<Allocation>(*it->second);
  released->live = false;
  if (released->residence == Residence::device) {
    in_use_ -= released->bytes;
    // whole pages go back to the host
    const auto offset = static_cast<std::size_t>(released->data - data_);
    const std::size_t from = round_up(offset, kPage);
    const std::size_t to = (offset + released->bytes) / kPage * kPage;
    if (to > from) {
      madvise(data_ + from, to - from, MADV_DONTNEED);
      madvise(defined_ + from, to - from, MADV_DONTNEED);
    }
    it->second = std::move(released);
  } else {
    allocations_.erase(it);
  }
}

std::shared_ptr<const Allocation> Memory::find(Address address) const {
  const std::lock_guard lock(mutex_);
  auto it = allocations_.upper_bound(address);
  if (it == allocations_.begin()) return nullptr;
  --it;
  const bool inside = address < it->second->end() || address == it->second->begin;
  return inside ? it->second : nullptr;
}

bool Memory::is_device_address(Address address) const {
  const auto base = reinterpret_cast<Address>(reserved_);
  return address >= base && address - base < range_;
}

const Allocation& Memory::checked(Address address, std::size_t bytes, const char* what) const {
  const auto fail = [&](const char* why) {
    std::string place;
    { place = hex(address) + " + " + std::to_string(bytes) + " bytes"; }
    throw MemoryError(std::string(what) + ": " + place + " " + why);
  };
  const std::lock_guard lock(mutex_);
  auto it = allocations_.upper_bound(address);
  if (it == allocations_.begin()) fail("is in no allocation");
  --it;
  const Allocation& a = *it->second;
  if (address - a.begin > a.bytes) fail("is in no allocation");
  if (!a.live) fail("was released");
  if (bytes > a.bytes - (address - a.begin)) fail("reaches past the end of its allocation");
  return a;
}

void Memory::copy_in(Address to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  const Allocation& a = checked(to, bytes, "copy to the device");
  std::memcpy(a.data + (to - a.begin), from, bytes);
  std::memset(a.defined + (to - a.begin), 0xFF, bytes);
}

void Memory::copy_out(void* to, Address from, std::size_t bytes) const {
  if (bytes == 0) return;
  const Allocation& a = checked(from, bytes, "copy from the device");
  std::memcpy(to, a.data + (from - a.begin), bytes);
}

void Memory::copy(Address to, Address from, std::size_t bytes) {
  if (bytes == 0) return;
  const Allocation& source = checked(from, bytes, "copy within the device (source)");
  const Allocation& target = checked(to, bytes, "copy within the device (destination)");
  std::memmove(target.data + (to - target.begin), source.data + (from - source.begin), bytes);
  std::memmove(target.defined + (to - target.begin), source.defined + (from - source.begin), bytes);
}

void Memory::fill(Address to, std::uint8_t value, std::size_t bytes) {
  if (bytes == 0) return;
  const Allocation& a = checked(to, bytes, "memset");
  std::memset(a.data + (to - a.begin), value, bytes);
  std::memset(a.defined + (to - a.begin), 0xFF, bytes);
}

void Memory::fill_elements(Address to, std::uint64_t value, std::size_t width, std::size_t count) {
  if (count == 0) return;
  const Allocation& a = checked(to, width * count, "memset");
  std::byte* at = a.data + (to - a.begin);
  for (std::size_t i = 0; i < count; ++i) std::memcpy(at + i * width, &value, width);
  std::memset(a.defined + (to - a.begin), 0xFF, width * count);
}

std::optional<std::size_t> Memory::first_undefined(Address from, std::size_t bytes) const {
  if (bytes == 0) return std::nullopt;
  const Allocation& a = checked(from, bytes, "look at device memory");
  const std::byte* begin = a.defined + (from - a.begin);
  const std::byte* found =
      std::find_if(begin, begin + bytes, [](std::byte b) { return b != std::byte{0xFF}; });
  if (found == begin + bytes) return std::nullopt;
  return static_cast<std::size_t>(found - begin);
}

std::vector<std::shared_ptr<const Allocation>> Memory::snapshot() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const Allocation>> all;
  all.reserve(allocations_.size());
  for (const auto& [begin, allocation] : allocations_) all.push_back(allocation);
  return all;
}

std::size_t Memory::bytes_in_use() const {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

std::string Memory::describe(Address address) const {
  const std::lock_guard lock(mutex_);
  std::string text = hex(address);
  const auto name = [](const Allocation& a) {
    return (a.live ? "" : "released ") + std::string("allocation '") + a.name + "' (" +
           std::to_string(a.bytes) + " bytes at " + hex(a.begin) + ")";
  };
  const auto after = allocations_.upper_bound(address);
  if (after != allocations_.begin()) {
    const Allocation& before = *std::prev(after)->second;
    const Address offset = address - before.begin;
    if (offset < before.bytes)
      return text + ", byte " + std::to_string(offset) + " of " + name(before);
    if (offset - before.bytes < (Address{1} << 20)) {
      return text + ", " + std::to_string(offset - before.bytes) + " bytes past the end of " +
             name(before);
    }
  }
  if (after != allocations_.end() && after->first - address < (Address{1} << 20)) {
    return text + ", " + std::to_string(after->first - address) + " bytes before " +
           name(*after->second);
  }
  return text + ", far from every allocation";
}

}  // namespace gpu
