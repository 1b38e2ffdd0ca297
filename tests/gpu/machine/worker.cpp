#include "gpu/machine/worker.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "gpu/program/program.hpp"

namespace gpu {
namespace {

constexpr std::uint64_t kQuantum =
    400'000;  // warp instructions before a block makes room for others

}  // namespace

void LaunchState::add_report(Report report, const Instruction* where) {
  const std::lock_guard lock(mutex);
  const std::pair key{where, static_cast<int>(report.fault)};
  if (const auto it = known.find(key); it != known.end()) {
    ++reports[it->second].repeats;
  } else if (options.keep_going ? reports.size() < options.max_reports : reports.empty()) {
    known[key] = reports.size();
    reports.push_back(std::move(report));
  }
  if (!options.keep_going) {
    stop = true;
    changed.notify_all();
    throw LaunchStopped{};
  }
}

void LaunchState::print(std::string_view text) {
  const std::lock_guard lock(mutex);
  if (options.print) {
    options.print(text);
  } else {
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
}

Worker::Worker(LaunchState& state)
    : launch(state), tallies(state.kernel.module->program().functions.size()) {}

const Allocation* Worker::find(Address address, std::size_t bytes) {
  const auto holds = [&](const Allocation& a) {
    return address >= a.begin && address - a.begin < a.bytes &&
           bytes <= a.bytes - (address - a.begin);
  };
  if (recent != nullptr && holds(*recent)) return recent;
  const auto& all = launch.allocations;
  auto it = std::upper_bound(all.begin(), all.end(), address,
                             [](Address a, const auto& b) { return a < b->begin; });
  if (it == all.begin()) return nullptr;
  --it;
  if (!holds(**it)) return nullptr;
  if ((*it)->live) recent = it->get();
  return it->get();
}

/// A block to run: one that was paused, or a new one. Waits while the others' blocks are all
/// running. nullptr: the launch has ended.
std::unique_ptr<Block> Worker::next_block() {
  std::unique_lock lock(launch.mutex);
  for (;;) {
    if (launch.stop) throw LaunchStopped{};
    if (launch.finished == launch.blocks) return nullptr;
    auto& paused = launch.paused;
    const auto busy = std::find_if(paused.begin(), paused.end(),
                                   [](const auto& block) { return !block->yields; });
    if (busy != paused.end()) {
      std::unique_ptr<Block> block = std::move(*busy);
      paused.erase(busy);
      return block;
    }
    if (launch.started < launch.blocks &&
        launch.started - launch.finished < launch.resident_limit) {
      // a stretch of as many blocks as can be resident is started in random order; so a block may
      // still wait for any block before it, as the order of the stretches is kept
      const std::uint64_t within = launch.started % launch.resident_limit;
      if (within == 0) {
        const std::uint64_t size = std::min(launch.resident_limit, launch.blocks - launch.started);
        launch.order.resize(size);
        std::iota(launch.order.begin(), launch.order.end(), launch.started);
        if (launch.options.shuffle) {
          Random random(Random::mix(launch.options.seed) + launch.started);
          for (std::uint64_t i = size; i > 1; --i) {
            std::swap(launch.order[i - 1], launch.order[random.next() % i]);
          }
        }
      }
      const std::uint64_t number = launch.order[within];
      ++launch.started;
      lock.unlock();
      return std::make_unique<Block>(*this, number);
    }
    if (!paused.empty()) {
      std::unique_ptr<Block> block = std::move(paused.front());
      paused.pop_front();
      return block;
    }
    launch.changed.wait(lock);
  }
}

void Worker::run() {
  try {
    while (std::unique_ptr<Block> block = next_block()) {
      block->move_to(*this);
      const bool ended = block->run(kQuantum);
      if (ended) block.reset();
      const std::lock_guard lock(launch.mutex);
      if (ended) {
        ++launch.finished;
      } else {
        launch.paused.push_back(std::move(block));
      }
      launch.changed.notify_all();
    }
  } catch (const LaunchStopped&) {
  } catch (...) {
    const std::lock_guard lock(launch.mutex);
    if (!launch.error) launch.error = std::current_exception();
    launch.stop = true;
    launch.changed.notify_all();
  }
}

}  // namespace gpu
