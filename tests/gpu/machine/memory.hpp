#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace gpu {

/// An address in the device's generic address space.
using Address = std::uint64_t;

/// What an address belongs to.
enum class Residence {
  device,   ///< device memory: the host can't dereference its addresses
  host,     ///< page-locked host memory that kernels may use at its own address
  managed,  ///< usable by both at the same address
};

/// One allocation. Data and definedness lie in host memory: byte i of the allocation is data[i],
/// and bit b of defined[i] says whether bit b of that byte has a defined value.
struct Allocation {
  Address begin = 0;
  std::size_t bytes = 0;
  Residence residence = Residence::device;
  bool live = true;
  std::string name;  ///< for reports
  std::byte* data = nullptr;
  std::byte* defined = nullptr;
  std::shared_ptr<std::byte[]> owned_shadow;  ///< definedness of host memory

  Address end() const { return begin + bytes; }
};

/// A host-side use of device memory that no allocation covers.
class MemoryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// No room left on the device.
class OutOfMemory : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The global memory of one device. Device addresses are numbers in a range that is reserved and
/// inaccessible in the host process, so dereferencing one on the host faults. There are red zones
/// of at least kRedZone bytes around each allocation, and addresses of released ones are not used
/// again until the range is exhausted. All members are safe to call from several threads.
class Memory {
 public:
  static constexpr std::size_t kRedZone = 256;

  explicit Memory(std::size_t capacity_bytes);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  /// Undefined memory of `bytes` (0 gives a unique address that may not be accessed), aligned to
  /// `alignment` (a power of two; at least 256 is used). Throws OutOfMemory.
  Address allocate(std::size_t bytes, std::string name, std::size_t alignment = 256);

  /// An address range without memory behind it until revive().
  Address reserve(std::size_t bytes, std::string name, std::size_t alignment = 256);
  /// Puts undefined memory behind a reserved or released range again. Throws OutOfMemory, and
  /// MemoryError for anything that is not the start of one.
  void revive(Address begin);

  /// Makes host memory usable by kernels at its own address; wholly defined from the start.
  /// The caller keeps it alive until release().
  Address adopt(void* host, std::size_t bytes, Residence residence, std::string name);

  /// Ends an allocation; throws MemoryError for anything that is not the start of a live one.
  void release(Address begin);

  /// Host -> device: the bytes become defined. Throws MemoryError unless [to, to+bytes) lies in one
  /// live allocation (so do all below).
  void copy_in(Address to, const void* from, std::size_t bytes);
  /// Device -> host.
  void copy_out(void* to, Address from, std::size_t bytes) const;
  /// Device -> device; definedness travels with the bits.
  void copy(Address to, Address from, std::size_t bytes);
  /// Sets `bytes` bytes, which become defined.
  void fill(Address to, std::uint8_t value, std::size_t bytes);
  /// Sets `count` elements of `width` (1, 2, 4, 8) bytes to the low bytes of `value`.
  void fill_elements(Address to, std::uint64_t value, std::size_t width, std::size_t count);

  /// Offset of the first byte in the range that is not wholly defined, if there is one.
  std::optional<std::size_t> first_undefined(Address from, std::size_t bytes) const;

  /// The allocation (live or released) that holds the address, or nullptr.
  std::shared_ptr<const Allocation> find(Address address) const;
  /// True for any number in the device's reserved range, allocated or not.
  bool is_device_address(Address address) const;

  /// All allocations, live and released, by address.
  std::vector<std::shared_ptr<const Allocation>> snapshot() const;

  std::size_t bytes_in_use() const;
  std::size_t capacity() const { return capacity_; }

  /// "0x..., 4 bytes past the end of 'name' (1024 bytes at 0x...)"; for reports.
  std::string describe(Address address) const;

 private:
  Address place(std::size_t bytes, std::string name, std::size_t alignment);
  void enliven(std::shared_ptr<Allocation>& allocation);
  const Allocation& checked(Address address, std::size_t bytes, const char* what) const;

  mutable std::mutex mutex_;
  std::map<Address, std::shared_ptr<Allocation>> allocations_;  ///< by begin, live and released
  std::size_t capacity_;
  std::size_t in_use_ = 0;
  std::size_t range_ = 0;          ///< bytes of address range
  std::byte* reserved_ = nullptr;  ///< inaccessible; its address is the first device address
  std::byte* data_ = nullptr;
  std::byte* defined_ = nullptr;
  std::size_t next_ = 0;  ///< offset of the next allocation
};

}  // namespace gpu
