#include "gpu/runtime/context.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "gpu/runtime/runtime.hpp"

namespace gpu::runtime {
namespace {

std::string demangled(const std::string& name) {
  int status = 0;
  std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status), std::free);
  return status == 0 ? std::string(text.get()) : name;
}

cudaError_t code_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::invalid_configuration:
      return cudaErrorInvalidValue;  // what CUDA 13 gives on an H200
    case Refusal::too_many_resources:
      return cudaErrorLaunchOutOfResources;
    case Refusal::too_much_shared:
      return cudaErrorInvalidValue;
    case Refusal::cooperative_too_large:
      return cudaErrorCooperativeLaunchTooLarge;
    case Refusal::wrong_parameters:
      return cudaErrorInvalidValue;
  }
  return cudaErrorUnknown;
}

// What a GPU gives, where it gives anything.
cudaError_t code_of(Fault fault) {
  switch (fault) {
    case Fault::out_of_bounds:
    case Fault::use_after_free:
    case Fault::read_only:
      return cudaErrorIllegalAddress;
    case Fault::misaligned:
      return cudaErrorMisalignedAddress;
    case Fault::deadlock:
      return cudaErrorLaunchTimeout;
    case Fault::bad_call:
      return cudaErrorInvalidPc;
    case Fault::unsupported:
      return cudaErrorIllegalInstruction;
    default:
      return cudaErrorLaunchFailure;
  }
}

std::string capability_text(Capability capability) {
  return std::to_string(capability.major) + "." + std::to_string(capability.minor);
}

// What the fat binary holds, for the message that nothing in it fits.
std::string contents(const std::vector<Image>& images) {
  std::string text;
  for (const Image& image : images) {
    if (image.kind == Image::Kind::other) continue;
    if (!text.empty()) text += ", ";
    text += (image.kind == Image::Kind::ptx ? "PTX for " : "machine code for ") +
            capability_text(image.capability);
  }
  return text.empty() ? "nothing" : text;
}

/// What reads PTX, which may be malformed.
template <class Read>
auto readable(Read read) {
  try {
    return read();
  } catch (const ParseError& error) {
    runtime::fail(cudaErrorInvalidPtx, error.what());
  }
}

}  // namespace

Context::Context(const Device& which, int number)
    : device(which), ordinal(number), memory(std::make_unique<Memory>(which.total_memory)) {
  legacy.context = per_thread.context = this;
  legacy.id = 1;
  per_thread.id = 2;
  pools.push_back(std::make_unique<Pool>());
  pools[0]->context = this;
  pool = pools[0].get();
}

const Module& Context::module(const Binary& binary) {
  if (auto found = modules.find(&binary); found != modules.end()) return *found->second;
  const std::vector<Image>& images = binary.read();
  const Image* image = choose_image(images, device.capability);
  if (image == nullptr) {
    runtime::fail(cudaErrorNoKernelImageForDevice, "the device is a " +
                                                       capability_text(device.capability) +
                                                       "; the program has " + contents(images));
  }
  if (image->compressed) {
    runtime::fail(cudaErrorInvalidKernelImage,
                  "the PTX is compressed; compile with nvcc --no-compress");
  }
  std::string text = runtime().patch ? runtime().patch(image->text) : image->text;
  auto loaded = readable([&] { return Module::load(std::move(text), *memory, binary.name); });
  return *(modules[&binary] = std::move(loaded));
}

const Kernel& Context::kernel(const HostFunction& function) {
  const Module& holder = module(*function.binary);
  const Kernel* kernel = readable([&] { return holder.kernel(function.name); });
  if (kernel == nullptr) {
    runtime::fail(cudaErrorInvalidDeviceFunction, "no kernel " + demangled(function.name));
  }
  return *kernel;
}

const Variable& Context::variable(const HostVariable& host) {
  const Variable* variable = module(*host.binary).variable(host.name);
  if (variable == nullptr) {
    runtime::fail(cudaErrorInvalidSymbol, "no variable " + demangled(host.name));
  }
  return *variable;
}

std::size_t Context::shared_limit(const HostFunction& function, const Kernel& kernel) const {
  auto found = limits.find(&function);
  std::size_t dynamic = found == limits.end() ? 0 : found->second.dynamic_shared;
  return std::max(device.shared_per_block, kernel.static_shared_bytes + dynamic);
}

void* Context::allocate(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  return reinterpret_cast<void*>(
      memory->allocate(bytes, "allocation " + std::to_string(++allocations)));
}

bool Context::is_usable(const Allocation& allocation) const {
  return allocation.live || graph_memory.contains(reinterpret_cast<const void*>(allocation.begin));
}

void Context::launch(const HostFunction& function, const LaunchConfig& config, void** arguments,
                     Stream& stream) {
  const Kernel& kernel = this->kernel(function);
  if (auto refused = refuse(device, kernel, config, shared_limit(function, kernel))) {
    runtime::fail(code_of(refused->refusal), demangled(kernel.name) + ": " + refused->message);
  }
  std::vector<std::byte> buffer(kernel.parameter_bytes);
  for (std::size_t i = 0; i < kernel.parameters.size(); ++i) {
    const Parameter& parameter = kernel.parameters[i];
    if (arguments == nullptr || arguments[i] == nullptr) {
      runtime::fail(cudaErrorInvalidValue, "argument " + std::to_string(i) + " is null");
    }
    std::memcpy(buffer.data() + parameter.offset, arguments[i], parameter.bytes);
  }
  enqueue(stream, cudaGraphNodeTypeKernel,
          [this, &kernel, config, buffer = std::move(buffer)] { run(kernel, config, buffer); });
}

void Context::run(const Kernel& kernel, const LaunchConfig& config,
                  const std::vector<std::byte>& buffer) {
  Runtime& r = runtime();
  LaunchOptions options = r.options.launch;
  options.seed = options.seed * 1000003 + ++launches;
  LaunchResult result = gpu::launch(device, kernel, config, buffer, options);
  if (r.options.print_counts) {
    std::fprintf(stderr, "emulated GPU: %s\n%s\n", demangled(kernel.name).c_str(),
                 result.counts.table().c_str());
  }
  r.launches.push_back({demangled(kernel.name), std::move(result.counts)});
  if (r.launches.size() > 10000) r.launches.pop_front();
  for (const Report& report : result.failures) {
    r.failures.push_back(report);
    r.failures.back().kernel = demangled(report.kernel);
    if (r.options.print_failures) {
      std::fprintf(stderr, "%s  again   ATTEND_EMULATED_SEED=%llu\n",
                   r.failures.back().text().c_str(),
                   static_cast<unsigned long long>(r.options.launch.seed));
    }
  }
  if (!result.ok() && !options.keep_going) sticky = code_of(result.failures.front().fault);
}

void Context::fail(cudaError_t error, const std::string& message) {
  sticky = error;
  if (runtime().options.print_failures) {
    std::fprintf(stderr, "emulated GPU: %s (%s)\n", cudaGetErrorName(error), message.c_str());
  }
}

}  // namespace gpu::runtime
