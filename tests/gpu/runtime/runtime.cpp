#include "gpu/runtime/runtime.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace gpu::runtime {
namespace {

bool is_on(const char* variable) {
  const char* text = std::getenv(variable);
  return text != nullptr && std::string_view(text) != "" && std::string_view(text) != "0";
}

std::vector<Capability> read_capabilities(std::string_view text) {
  std::vector<Capability> capabilities;
  while (true) {
    std::size_t comma = text.find(',');
    capabilities.push_back(parse_capability(text.substr(0, comma)));
    device(capabilities.back());  // throws for one we don't have
    if (comma == std::string_view::npos) return capabilities;
    text.remove_prefix(comma + 1);
  }
}

RuntimeOptions from_environment() {
  RuntimeOptions options;
  if (const char* text = std::getenv("ATTEND_EMULATED_CAPABILITY"); text != nullptr && *text) {
    try {
      options.capabilities = read_capabilities(text);
    } catch (const std::invalid_argument& error) {
      std::fprintf(stderr, "emulated GPU: ATTEND_EMULATED_CAPABILITY: %s\n", error.what());
      options.capabilities.clear();  // a machine without a GPU
    }
  }
  if (const char* text = std::getenv("ATTEND_EMULATED_SEED")) {
    options.launch.seed = std::strtoull(text, nullptr, 10);
  }
  options.launch.keep_going = is_on("ATTEND_EMULATED_KEEP_GOING");
  options.print_counts = is_on("ATTEND_EMULATED_COUNTS");
  return options;
}

// What tests see of the runtime.
class RuntimeControl final : public Control {
 public:
  RuntimeOptions options() const override {
    std::lock_guard lock(runtime().mutex);
    return runtime().options;
  }
  void restart(const RuntimeOptions& options) override { restart(options, nullptr); }
  void restart(const RuntimeOptions& options, Patch patch) override {
    std::lock_guard lock(runtime().mutex);
    runtime().patch = std::move(patch);
    runtime().restart(options);
  }
  std::vector<Report> take_failures() override {
    std::lock_guard lock(runtime().mutex);
    return std::exchange(runtime().failures, {});
  }
  std::vector<LaunchRecord> take_launches() override {
    std::lock_guard lock(runtime().mutex);
    auto launches = std::exchange(runtime().launches, {});
    return {std::make_move_iterator(launches.begin()), std::make_move_iterator(launches.end())};
  }
};

void release(const HostBlock& block) {
  if (block.origin != HostBlock::Origin::registered) std::free(block.data);
}

}  // namespace

Runtime::Runtime() { restart(from_environment()); }

void Runtime::restart(const RuntimeOptions& wanted) {
  options = wanted;
  events.clear();
  graphs.clear();
  executables.clear();
  schedule = std::make_unique<Schedule>(options.launch.seed);
  contexts.clear();
  for (const auto& [address, block] : host_blocks) release(block);
  host_blocks.clear();
  failures.clear();
  launches.clear();
  for (Capability capability : options.capabilities) {
    contexts.push_back(
        std::make_unique<Context>(device(capability), static_cast<int>(contexts.size())));
  }
  thread_state() = {};
}

Context& Runtime::context() {
  if (contexts.empty()) fail(cudaErrorNoDevice);
  return context(thread_state().device);
}

Context& Runtime::context(int ordinal) {
  if (ordinal < 0 || ordinal >= static_cast<int>(contexts.size())) fail(cudaErrorInvalidDevice);
  return *contexts[static_cast<std::size_t>(ordinal)];
}

Context* Runtime::owner(const void* address) const {
  for (const auto& context : contexts) {
    if (context->memory->is_device_address(reinterpret_cast<Address>(address))) {
      return context.get();
    }
  }
  return nullptr;
}

Context& Runtime::holder(const void* data) const {
  Context* context = owner(data);
  if (context == nullptr) fail(cudaErrorInvalidValue, "not device memory");
  const auto address = reinterpret_cast<Address>(data);
  const auto allocation = context->memory->find(address);
  if (!allocation || !allocation->live || allocation->begin != address) {
    fail(cudaErrorInvalidValue, "free of " + context->memory->describe(address));
  }
  return *context;
}

const HostBlock* Runtime::host_block(const void* address) const {
  auto next = host_blocks.upper_bound(address);
  if (next == host_blocks.begin()) return nullptr;
  const HostBlock& block = std::prev(next)->second;
  auto offset = reinterpret_cast<Address>(address) - reinterpret_cast<Address>(block.data);
  return offset < block.bytes ? &block : nullptr;
}

Stream& Runtime::stream(cudaStream_t handle) {
  if (handle == nullptr || handle == cudaStreamLegacy) return context().legacy;
  if (handle == cudaStreamPerThread) return context().per_thread;
  for (const auto& each : contexts) {
    for (const auto& stream : each->streams) {
      if (stream.get() == reinterpret_cast<Stream*>(handle)) return *stream;
    }
  }
  fail(cudaErrorInvalidResourceHandle, "not a stream, or a destroyed one");
}

Event& Runtime::event(cudaEvent_t handle) {
  for (const auto& event : events) {
    if (event.get() == reinterpret_cast<Event*>(handle)) return *event;
  }
  fail(cudaErrorInvalidResourceHandle, "not an event, or a destroyed one");
}

// Never destroyed: programs call us from their static destructors.
Runtime& runtime() {
  static Runtime* instance = new Runtime;
  return *instance;
}

ThreadState& thread_state() {
  thread_local ThreadState state;
  return state;
}

}  // namespace gpu::runtime

extern "C" gpu::Control* attend_emulated_control() {
  static gpu::runtime::RuntimeControl control;
  return &control;
}
