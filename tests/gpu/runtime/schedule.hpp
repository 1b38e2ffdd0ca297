#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace gpu::runtime {

struct Context;

/// A piece of a stream's work. It runs after all of `before`.
struct Operation {
  Context* context = nullptr;
  std::vector<std::shared_ptr<Operation>> before;
  std::function<void()> work;
  bool done = false;
  std::chrono::steady_clock::time_point finished;
};
using OperationPtr = std::shared_ptr<Operation>;

/// Runs operations, as late as the program's waits allow or, by chance, earlier. Of those that may
/// run at the same time on a device, the seed draws the order. Nothing runs between calls.
class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : state_(seed * 2 + 1) {}

  OperationPtr add(Context& context, std::vector<OperationPtr> before, std::function<void()> work);
  /// Runs the operation and what it waits for, nothing else.
  void finish(const OperationPtr& operation);
  void finish_all(const Context& context);
  /// Runs one operation that is ready, if there is one.
  void step();

 private:
  std::uint32_t random();
  OperationPtr ready_below(OperationPtr operation);
  void run(const OperationPtr& operation);
  void drop_done();

  std::vector<OperationPtr> pending_;
  std::uint64_t state_;
  bool running_ = false;  // a host function may call us again
};

}  // namespace gpu::runtime
