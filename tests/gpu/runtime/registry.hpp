#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gpu/runtime/fatbin.hpp"

namespace gpu::runtime {

/// A fat binary that the program has registered: one per translation unit.
struct Binary {
  const void* data = nullptr;
  mutable std::vector<Image> images;  ///< read at the first use
  std::string name;                   ///< for messages

  const std::vector<Image>& read() const;
};

/// A kernel as the host knows it: by the address of its stub.
struct HostFunction {
  const Binary* binary = nullptr;
  const void* stub = nullptr;
  std::string name;  ///< mangled
};

/// A __device__ or __constant__ variable as the host knows it.
struct HostVariable {
  const Binary* binary = nullptr;
  std::string name;  ///< mangled
  std::size_t bytes = 0;
};

/// Everything that static initialisers have registered.
class Registry {
 public:
  Binary& add_binary(const void* data);
  void add_function(const Binary& binary, const void* stub, const char* name);
  void add_variable(const Binary& binary, const void* host, const char* name, std::size_t bytes);
  void remove(const Binary* binary);

  /// nullptr where nothing was registered under that address.
  const HostFunction* function(const void* stub_or_handle) const;
  const HostVariable* variable(const void* host) const;

 private:
  std::vector<std::unique_ptr<Binary>> binaries_;
  std::map<const void*, std::unique_ptr<HostFunction>> functions_;
  std::map<const void*, HostVariable> variables_;
};

}  // namespace gpu::runtime
