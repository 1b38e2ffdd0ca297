#include "gpu/runtime/registry.hpp"

namespace gpu::runtime {

const std::vector<Image>& Binary::read() const {
  if (images.empty()) images = read_fat_binary(data);
  return images;
}

Binary& Registry::add_binary(const void* data) {
  binaries_.push_back(std::make_unique<Binary>());
  binaries_.back()->data = data;
  binaries_.back()->name = "module " + std::to_string(binaries_.size());
  return *binaries_.back();
}

void Registry::add_function(const Binary& binary, const void* stub, const char* name) {
  functions_[stub] = std::make_unique<HostFunction>(HostFunction{&binary, stub, name});
}

void Registry::add_variable(const Binary& binary, const void* host, const char* name,
                            std::size_t bytes) {
  variables_[host] = {&binary, name, bytes};
}

void Registry::remove(const Binary* binary) {
  std::erase_if(functions_, [&](const auto& entry) { return entry.second->binary == binary; });
  std::erase_if(variables_, [&](const auto& entry) { return entry.second.binary == binary; });
  std::erase_if(binaries_, [&](const auto& entry) { return entry.get() == binary; });
}

const HostFunction* Registry::function(const void* stub_or_handle) const {
  if (auto found = functions_.find(stub_or_handle); found != functions_.end()) {
    return found->second.get();
  }
  for (const auto& [stub, function] : functions_) {
    if (function.get() == stub_or_handle) return function.get();
  }
  return nullptr;
}

const HostVariable* Registry::variable(const void* host) const {
  auto found = variables_.find(host);
  return found == variables_.end() ? nullptr : &found->second;
}

}  // namespace gpu::runtime
