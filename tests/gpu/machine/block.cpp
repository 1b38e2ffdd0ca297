#include "gpu/machine/block.hpp"

#include <algorithm>
#include <bit>

#include "gpu/machine/worker.hpp"

namespace gpu {
namespace {

std::size_t round_up(std::size_t value, std::size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace

Block::Block(Worker& worker, std::uint64_t number)
    : linear(number),
      random(Random::mix(worker.seed()) ^ Random::mix(number + 0x51ED)),
      static_shared(worker.launch.kernel.static_shared_bytes),
      shared_bytes(worker.launch.config.dynamic_shared_bytes == 0
                       ? static_shared
                       : round_up(static_shared, worker.launch.kernel.dynamic_shared_alignment) +
                             worker.launch.config.dynamic_shared_bytes),
      dynamic_shared(static_cast<std::uint32_t>(
          kSharedBase + round_up(static_shared, worker.launch.kernel.dynamic_shared_alignment))),
      shared(shared_bytes, std::byte{0xA5}),
      shared_defined(shared_bytes, std::byte{0}),
      races(shared_bytes,
            static_cast<std::uint32_t>((worker.launch.config.block.count() + 31) / 32)),
      worker_(&worker) {
  const Dim3& grid = worker.launch.config.grid;
  index.x = static_cast<std::uint32_t>(number % grid.x);
  index.y = static_cast<std::uint32_t>(number / grid.x % grid.y);
  index.z = static_cast<std::uint32_t>(number / grid.x / grid.y);
  const auto count = static_cast<std::uint32_t>((worker.launch.config.block.count() + 31) / 32);
  for (std::uint32_t i = 0; i < count; ++i) {
    warps.push_back(std::make_unique<Warp>(worker, *this, i, *worker.launch.kernel.function));
  }
  worker.warps += count;
}

bool Block::run(std::uint64_t quantum) {
  yields = false;
  spent_ = 0;
  const bool shuffle = worker_->launch.options.shuffle;
  const std::uint64_t limit = worker_->launch.options.step_limit;
  std::uint64_t done = 0;
  std::uint32_t next = 0;
  while (done < quantum && !yields) {
    const auto count = static_cast<std::uint32_t>(warps.size());
    const std::uint32_t start = shuffle ? random.below(count) : next;
    Warp* chosen = nullptr;
    bool alive = false;
    for (std::uint32_t i = 0; i < count && chosen == nullptr; ++i) {
      Warp& warp = *warps[(start + i) % count];
      alive |= !warp.finished();
      if (!warp.finished() && warp.runnable()) {
        chosen = &warp;
        next = (start + i + 1) % count;
      }
    }
    if (chosen == nullptr) {
      if (!alive) return true;
      // a group may wait for lanes that exited since
      bool moved = false;
      for (const auto& warp : warps) {
        if (!warp->finished() && warp->run(1) > 0) moved = true;
      }
      if (moved) continue;
      report_deadlock();
      return true;
    }
    if (worker_->launch.stop.load(std::memory_order_relaxed)) throw LaunchStopped{};
    const std::uint64_t slice = shuffle ? 1u << random.below(9) : 64;
    const std::uint64_t ran = chosen->run(slice);
    done += ran;
    steps += ran;
    if (spent_ > quantum) yields = true;
    if (steps > limit) {
      chosen->fail(Fault::deadlock, chosen->active,
                   "the block has executed " + std::to_string(steps) +
                       " warp instructions, more than the step limit: it seems to wait for "
                       "something that never happens");
      return true;
    }
  }
  return false;
}

void Block::move_to(Worker& worker) {
  worker_ = &worker;
  for (const auto& warp : warps) warp->move_to(worker);
}

void Block::report_deadlock() {
  for (const auto& warp : warps) {
    if (warp->finished()) continue;
    const Group* group = warp->first_waiting();
    if (group == nullptr) continue;
    const bool gather = group->wait == Wait::gather;
    const std::uint32_t site = gather ? group->pc : group->pc - 1;
    std::string message =
        gather ? "some lanes of the warp wait here for others, which wait elsewhere"
        : group->wait == Wait::warpgroup
            ? "not all four warps of the warpgroup execute this; others wait elsewhere or have "
              "ended:"
            : "the barrier is never completed: other threads of the block wait elsewhere:";
    for (const auto& other : warps) {
      const Group* at = other->finished() ? nullptr : other->first_waiting();
      if (at == nullptr || other == warp) continue;
      const Site& s = at->frame->function->sites[at->wait == Wait::gather ? at->pc : at->pc - 1];
      message += " warp " + std::to_string(other->index) + " at '" + s.text + "' (line " +
                 std::to_string(s.line) + ");";
      if (message.size() > 600) break;
    }
    warp->fail_at(*group->frame, site, gather ? Fault::divergence : Fault::barrier, group->lanes,
                  message);
    return;
  }
}

std::uint32_t Block::alive_threads() const {
  std::uint32_t count = 0;
  for (const auto& warp : warps) count += static_cast<std::uint32_t>(std::popcount(warp->alive));
  return count;
}

void Block::arrive(Warp& warp, const Instruction& in, const Arrival& arrival) {
  Barrier& barrier = barriers_[arrival.barrier];
  const auto lanes = static_cast<std::uint32_t>(std::popcount(warp.active));
  const bool fresh = barrier.arrived == 0;
  if (fresh) {
    barrier.threads = arrival.threads;
    barrier.first = &in;
    barrier.popc = 0;
    barrier.all = true;
    barrier.any = false;
  } else if (barrier.threads != arrival.threads) {
    warp.fail(Fault::barrier, warp.active,
              "barrier " + std::to_string(arrival.barrier) + " expects " +
                  std::to_string(barrier.threads) + " threads by an earlier arrival and " +
                  std::to_string(arrival.threads) + " by this one (0: all)");
  } else if (arrival.threads == 0 && arrival.aligned && barrier.first != &in) {
    const Site& other =
        barrier.first->function
            ->sites[static_cast<std::size_t>(barrier.first - barrier.first->function->code.data())];
    warp.fail(Fault::barrier, warp.active,
              "threads of the block wait at different places for the same barrier: others at '" +
                  other.text + "' (line " + std::to_string(other.line) +
                  "); all of them must reach the same one");
  }
  // a warp counts as 32 threads where a number is given (PTX: barrier{.cta})
  barrier.arrived += arrival.threads != 0 && arrival.aligned ? 32 : lanes;
  if (arrival.reduction != Arrival::Reduction::none) {
    const std::uint32_t bits = warp.predicate(in.src[0]) & warp.active;
    barrier.popc += static_cast<std::uint32_t>(std::popcount(bits));
    barrier.all &= bits == warp.active;
    barrier.any |= bits != 0;
  }
  if (arrival.waits) {
    barrier.waiting.push_back({&warp, warp.active, &in});
    warp.wait_at_barrier();
  } else {
    races.arrive(warp.index, arrival.barrier);
  }
  complete_if_full(arrival.barrier);
}

void Block::complete_if_full(std::uint32_t number) {
  Barrier& barrier = barriers_[number];
  if (barrier.arrived == 0) return;
  const std::uint32_t expected = barrier.threads != 0 ? barrier.threads : alive_threads();
  if (barrier.arrived < expected) return;
  std::vector<std::uint32_t> members;
  for (const Waiting& w : barrier.waiting) {
    if (members.empty() || members.back() != w.warp->index) members.push_back(w.warp->index);
  }
  races.complete(members, number);
  const std::vector<Waiting> waiting = std::move(barrier.waiting);
  const Barrier result = barrier;
  barrier = {};
  for (const Waiting& w : waiting) {
    const Group* group = nullptr;
    for (const Group& g : w.warp->groups()) {
      if (g.wait == Wait::barrier && (g.lanes & w.lanes) != 0) group = &g;
    }
    if (w.in->dst_count != 0 && group != nullptr) {
      const Ref dst = w.in->dst[0];
      std::uint32_t* values = group->frame->values.get() + std::size_t{dst.unit} * 32;
      group->frame->undefined_lanes[dst.unit] &= ~w.lanes;
      if (dst.predicate) {
        const bool truth = w.in->mode == static_cast<std::uint8_t>(Arrival::Reduction::all)
                               ? result.all
                               : result.any;
        *values = truth ? *values | w.lanes : *values & ~w.lanes;
      } else {
        for (std::uint32_t lane = 0; lane < 32; ++lane) {
          if (w.lanes >> lane & 1) values[lane] = result.popc;
        }
      }
    }
    w.warp->release(w.lanes);
  }
}

void Block::lanes_exited(Warp& warp) {
  if (alive_threads() == 0) {
    for (auto& [offset, barrier] : mbarriers) {
      if (!barrier.tracks_copies()) continue;
      const std::string what = barrier.copies.empty() ? "copies" : "bulk copies";
      barrier.copies.clear();
      barrier.arrivals.clear();
      warp.fail(Fault::pending_copy, 0,
                "the block ends with " + what + " in flight that the mbarrier at shared offset " +
                    std::to_string(offset) + " tracks");
    }
  }
  for (std::uint32_t i = 0; i < barriers_.size(); ++i) complete_if_full(i);
}

}  // namespace gpu
