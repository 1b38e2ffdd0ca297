#include "gpu/runtime/schedule.hpp"

#include <algorithm>
#include <utility>

#include "gpu/runtime/context.hpp"

namespace gpu::runtime {

std::uint32_t Schedule::random() {
  state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
  return static_cast<std::uint32_t>(state_ >> 33);
}

OperationPtr Schedule::add(Context& context, std::vector<OperationPtr> before,
                           std::function<void()> work) {
  auto operation = std::make_shared<Operation>();
  operation->context = &context;
  operation->work = std::move(work);
  for (OperationPtr& earlier : before) {
    if (earlier && !earlier->done) operation->before.push_back(std::move(earlier));
  }
  drop_done();
  pending_.push_back(operation);
  if (random() % 4 == 0) step();
  return operation;
}

void Schedule::drop_done() {
  std::erase_if(pending_, [](const OperationPtr& operation) { return operation->done; });
}

// Something that has to run before `operation` can, or `operation` itself.
OperationPtr Schedule::ready_below(OperationPtr operation) {
  while (true) {
    std::erase_if(operation->before, [](const OperationPtr& earlier) { return earlier->done; });
    if (operation->before.empty()) return operation;
    OperationPtr next = operation->before[random() % operation->before.size()];
    operation = std::move(next);
  }
}

void Schedule::run(const OperationPtr& operation) {
  // However the work ends, nobody waits for it any longer.
  struct End {
    Schedule& schedule;
    Operation& operation;
    ~End() {
      schedule.running_ = false;
      operation.done = true;
      operation.finished = std::chrono::steady_clock::now();
    }
  } end{*this, *operation};
  running_ = true;
  auto work = std::exchange(operation->work, nullptr);
  // After a failure a device does nothing any more.
  if (operation->context->sticky == cudaSuccess) work();
}

void Schedule::finish(const OperationPtr& operation) {
  if (!operation || running_) return;
  while (!operation->done) run(ready_below(operation));
}

void Schedule::finish_all(const Context& context) {
  drop_done();
  std::vector<OperationPtr> mine;
  for (const OperationPtr& operation : pending_) {
    if (operation->context == &context) mine.push_back(operation);
  }
  while (!mine.empty()) {
    std::size_t pick = random() % mine.size();
    std::swap(mine[pick], mine.back());
    finish(mine.back());
    if (running_) return;
    mine.pop_back();
  }
}

void Schedule::step() {
  drop_done();
  if (pending_.empty() || running_) return;
  run(ready_below(pending_[random() % pending_.size()]));
}

}  // namespace gpu::runtime
