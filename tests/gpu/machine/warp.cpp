#include "gpu/machine/warp.hpp"

#include <algorithm>
#include <cstring>

#include "gpu/machine/block.hpp"
#include "gpu/machine/worker.hpp"

namespace gpu {
namespace {

constexpr std::uint32_t kNever = ~0u;
constexpr std::uint32_t kPatience =
    5000;  // steps before lanes that spin let others of the warp run

}  // namespace

Warp::Warp(Worker& w, Block& b, std::uint32_t i, const Function& function)
    : block(b), index(i), worker_(&w) {
  const std::uint64_t threads = w.launch.config.block.count();
  const std::uint64_t rest = threads - std::uint64_t{i} * 32;
  members = rest >= 32 ? ~0u : (1u << rest) - 1;
  alive = members;
  Frame* kernel_frame = enter(function, nullptr, members);
  groups_.push_back({kernel_frame, 0, members, Wait::none, 0});
  if (!function.held.empty()) held.resize(function.units);
}

Warp::~Warp() {
  for (auto& f : frames_) worker_->frames.give(std::move(f));
}

Frame* Warp::enter(const Function& function, Frame* parent, std::uint32_t lanes) {
  frames_.push_back(worker_->frames.take(function));
  Frame& f = *frames_.back();
  f.parent = parent;
  f.depth = parent == nullptr ? 0 : parent->depth + 1;
  f.local_base = parent == nullptr ? 0 : parent->local_base + parent->function->frame_bytes;
  f.lanes = lanes;
  reserve_local(f.local_base + function.frame_bytes);
  std::memset(f.values.get(), 0xA5, function.units * std::size_t{128});
  std::memset(f.undefined_bits.get(), 0xFF, function.units * std::size_t{128});
  std::fill(f.undefined_lanes.begin(), f.undefined_lanes.end(), ~0u);
  fill_specials(f);
  return &f;
}

void Warp::reserve_local(std::uint32_t bytes) {
  if (bytes <= local_capacity_) return;
  const std::size_t capacity = std::max<std::size_t>(bytes, 2 * local_capacity_);
  std::vector<std::byte> data(capacity * 32, std::byte{0xA5});
  std::vector<std::byte> defined(capacity * 32, std::byte{0});
  for (std::size_t lane = 0; lane < 32 && local_capacity_ != 0; ++lane) {
    std::memcpy(&data[lane * capacity], &local_data_[lane * local_capacity_], local_capacity_);
    std::memcpy(&defined[lane * capacity], &local_defined_[lane * local_capacity_],
                local_capacity_);
  }
  local_data_ = std::move(data);
  local_defined_ = std::move(defined);
  local_capacity_ = capacity;
}

std::uint32_t Warp::local_limit() const { return frame->local_base + frame->function->frame_bytes; }

void Warp::drop_frame(Frame* gone) {
  const auto it =
      std::find_if(frames_.begin(), frames_.end(), [&](const auto& f) { return f.get() == gone; });
  worker_->frames.give(std::move(*it));
  frames_.erase(it);
}

bool Warp::runnable() const {
  return running_ || std::any_of(groups_.begin(), groups_.end(),
                                 [](const Group& g) { return g.wait == Wait::none; });
}

const Group* Warp::first_waiting() const {
  const Group* found = nullptr;
  for (const Group& g : groups_) {
    if (g.wait == Wait::gather) return &g;
    if (g.wait != Wait::none && found == nullptr) found = &g;
  }
  return found;
}

void Warp::store_running() {
  if (running_ && group_lanes != 0) groups_.push_back({frame, pc, group_lanes, Wait::none, 0});
  running_ = false;
}

/// Loads the group that runs next. False: none can.
bool Warp::pick() {
  store_running();
  Group* best = nullptr;
  const bool impatient = patience_ == 0;  // lanes that spin may wait for others of their warp
  std::uint32_t candidates = 0;
  for (Group& g : groups_) {
    if (g.wait != Wait::none) continue;
    ++candidates;
    const bool better = best == nullptr || g.frame->depth > best->frame->depth ||
                        (g.frame->depth == best->frame->depth && g.pc < best->pc);
    if (impatient ? block.random.below(candidates) == 0 : better) best = &g;
  }
  if (best == nullptr) return false;
  patience_ = kPatience;
  frame = best->frame;
  pc = best->pc;
  group_lanes = 0;
  stop_pc_ = kNever;
  std::erase_if(groups_, [&](const Group& g) {
    if (g.wait != Wait::none || g.frame != frame || g.pc != pc) return false;
    group_lanes |= g.lanes;
    return true;
  });
  for (const Group& g : groups_) {
    if (g.wait == Wait::none && g.frame == frame && g.pc > pc) stop_pc_ = std::min(stop_pc_, g.pc);
  }
  const Function& f = *frame->function;
  values_[Ref::registers] = frame->values.get();
  values_[Ref::constants] = const_cast<std::uint32_t*>(f.constants.data());
  undefined_bits_ = frame->undefined_bits.get();
  undefined_lanes_ = frame->undefined_lanes.data();
  tallies_ = worker_->tallies_of(f);
  running_ = true;
  return true;
}

void Warp::move_to(Worker& worker) {
  store_running();  // pointers into the old worker's counts end here
  worker_ = &worker;
}

std::uint64_t Warp::clock() { return 16 * ++block.ticks + 4 * block.steps; }

SiteTally& Warp::tally() const { return tallies_[site_]; }

/// No group can run: lets go those whose missing lanes have exited, and fails for a group that
/// waits for lanes which can't come. True if some group can run now.
bool Warp::resolve_waiting() {
  bool any_barrier = false;
  Group* stuck = nullptr;
  for (Group& g : groups_) {
    if (g.wait == Wait::barrier || g.wait == Wait::warpgroup) any_barrier = true;
    if (g.wait != Wait::gather) continue;
    if ((g.named & alive & ~g.lanes) == 0) {
      g.wait = Wait::none;
      return true;
    }
    if (stuck == nullptr) stuck = &g;
  }
  if (stuck == nullptr || any_barrier) return false;
  const std::uint32_t missing = stuck->named & alive & ~stuck->lanes;
  const std::uint32_t lanes = stuck->lanes;
  stuck->wait = Wait::none;
  forced_ = lanes;
  char text[160];
  std::snprintf(
      text, sizeof text,
      "lanes 0x%08x execute a warp-wide instruction that names 0x%08x too, but those lanes "
      "have gone another way",
      lanes, missing);
  fail_at(*stuck->frame, stuck->pc, Fault::divergence, lanes, text);
  return true;
}

std::uint64_t Warp::run(std::uint64_t steps) {
  std::uint64_t done = 0;
  while (done < steps) {
    if (!running_ || group_lanes == 0 || pc >= stop_pc_ || (patience_ == 0 && !groups_.empty())) {
      if (!pick() && !(resolve_waiting() && pick())) break;
    }
    step();
    ++done;
    if (patience_ > 0) --patience_;
  }
  return done;
}

void Warp::step() {
  const Instruction& in = frame->function->code[pc];
  site_ = pc;
  active = group_lanes;
  std::uint32_t doubtful = 0;
  if (in.guarded) {
    active &= predicate(in.guard);
    doubtful = undefined(in.guard) & group_lanes;
  }
  SiteTally& tally = tallies_[pc];
  ++tally.executed;
  tally.lanes += static_cast<std::uint64_t>(std::popcount(active));
  ++pc;
  if (doubtful != 0 && in.effect) {
    fail(Fault::undefined_branch, doubtful, "the predicate that decides this is undefined");
  }
  if (active != 0) {
    if (in.watched) [[unlikely]]
      watch(in);
    if (in.shadow != nullptr) {
      std::uint32_t any = 0;
      for (int i = 0; i < in.src_count; ++i) any |= undefined(in.src[i]);
      if ((any & active) != 0) {
        in.shadow(*this, in);
      } else {
        define_results(in);
      }
    }
    in.run(*this, in);
  }
  if (doubtful != 0) {
    for (int i = 0; i < in.dst_count; ++i) undefine(in.dst[i], doubtful);
  }
}

bool Warp::gathered(std::uint32_t named) {
  const std::uint32_t needed = named & alive;
  if ((needed & ~active) == 0 || (forced_ != 0 && (forced_ & ~active) == 0)) {
    forced_ = 0;
    return true;
  }
  std::uint32_t peers = 0;
  const auto is_peer = [&](const Group& g) {
    return g.wait == Wait::gather && g.frame == frame && g.pc == site_ &&
           (g.named & alive) == needed;
  };
  for (const Group& g : groups_) {
    if (is_peer(g)) peers |= g.lanes;
  }
  if ((needed & ~(active | peers)) == 0) {
    std::erase_if(groups_, is_peer);
    active |= peers;
    group_lanes |= peers;
    return true;
  }
  std::erase_if(groups_, is_peer);
  groups_.push_back({frame, site_, active | peers, Wait::gather, needed});
  group_lanes &= ~active;
  if (group_lanes == 0) running_ = false;
  return false;
}

void Warp::split_active(std::uint32_t lanes) {
  const std::uint32_t later = active & ~lanes;
  if (later == 0) return;
  groups_.push_back({frame, site_, later, Wait::none, 0});
  group_lanes &= ~later;
  active = lanes;
  stop_pc_ = 0;  // the others are behind: they go on next
}

void Warp::release_gathered(std::uint32_t lanes) {
  for (Group& g : groups_) {
    if (g.wait == Wait::gather && (g.lanes & lanes) != 0) {
      g.wait = Wait::none;
      ++g.pc;
    }
  }
}

void Warp::branch(std::uint32_t lanes, std::uint32_t target) {
  if (lanes == group_lanes) {
    pc = target;
    return;
  }
  if (target == pc || lanes == 0) return;
  const std::uint32_t others = group_lanes & ~lanes;
  if (target < pc) {
    groups_.push_back({frame, pc, others, Wait::none, 0});
    stop_pc_ = std::min(stop_pc_, pc);
    pc = target;
    group_lanes = lanes;
  } else {
    groups_.push_back({frame, target, lanes, Wait::none, 0});
    stop_pc_ = std::min(stop_pc_, target);
    group_lanes = others;
  }
}

void Warp::scatter(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& ways) {
  for (const auto& [lanes, target] : ways) {
    groups_.push_back({frame, target, lanes, Wait::none, 0});
    group_lanes &= ~lanes;
  }
  store_running();
}

void Warp::call(const Instruction&, const Function& callee, std::uint32_t lanes) {
  constexpr std::uint32_t kStackLimit = 1u << 20;
  if (frame->local_base + frame->function->frame_bytes + callee.frame_bytes > kStackLimit ||
      frame->depth > 10000) {
    fail(Fault::bad_call, lanes, "the call stack exceeds 1 MiB per thread");
    return;
  }
  Frame* caller = frame;
  const std::uint32_t call_site = site_;
  const std::uint32_t return_to = pc;
  const std::uint32_t others = group_lanes & ~lanes;
  if (others != 0) groups_.push_back({caller, pc, others, Wait::none, 0});
  running_ = false;
  Frame* entered = enter(callee, caller, lanes);
  entered->call = call_site;
  entered->return_to = return_to;
  groups_.push_back({entered, 0, lanes, Wait::none, 0});
  group_lanes = 0;
}

void Warp::leave(std::uint32_t lanes) {
  if (frame->parent == nullptr) {
    exit(lanes);
    return;
  }
  groups_.push_back({frame->parent, frame->return_to, lanes, Wait::none, 0});
  frame->lanes &= ~lanes;
  group_lanes &= ~lanes;
  Frame* left = frame;
  store_running();
  if (left->lanes == 0) drop_frame(left);
}

void Warp::exit(std::uint32_t lanes) {
  std::uint32_t pending = 0;
  for (std::uint32_t set = lanes; set != 0; set &= set - 1) {
    const auto lane = static_cast<std::uint32_t>(std::countr_zero(set));
    const CopyQueue& queue = copies[lane];
    if (queue.begun > std::max(queue.ended, queue.tracked)) pending |= 1u << lane;
  }
  if (pending != 0) {
    fail(Fault::pending_copy, pending,
         "the thread ends with asynchronous copies in flight; cp.async.wait_all (or a wait_group) "
         "must come first");
  }
  if (!products.idle()) {
    products = {};
    fail(Fault::pending_copy, lanes,
         "the thread ends with products in flight; wgmma.wait_group must come first");
  }
  alive &= ~lanes;
  group_lanes &= ~lanes;
  for (Frame* f = frame; f != nullptr; f = f->parent) f->lanes &= ~lanes;
  if (group_lanes == 0) running_ = false;
  block.lanes_exited(*this);
}

void Warp::wait_at_barrier(Wait wait) {
  groups_.push_back({frame, pc, active, wait, 0});
  group_lanes &= ~active;
  if (group_lanes == 0) running_ = false;
}

void Warp::release(std::uint32_t lanes) {
  for (Group& g : groups_) {
    const bool waits = g.wait == Wait::barrier || g.wait == Wait::warpgroup;
    if (waits && (g.lanes & lanes) != 0) g.wait = Wait::none;
  }
  stop_pc_ = 0;  // they may be behind those that run
}

std::uint32_t Warp::require_defined(const Instruction& in, int first, int count, Fault fault,
                                    const char* what) {
  std::uint32_t lanes = 0;
  for (int i = first; i < first + count; ++i) lanes |= undefined(in.src[i]);
  lanes &= active;
  if (lanes != 0) fail(fault, lanes, std::string(what) + " has undefined bits");
  return lanes;
}

void Warp::fail(Fault fault, std::uint32_t lanes, std::string message) {
  fail_at(*frame, site_, fault, lanes, std::move(message));
}

void Warp::fail_at(const Frame& where, std::uint32_t at, Fault fault, std::uint32_t lanes,
                   std::string message) {
  const Function& f = *where.function;
  const Site& s = f.sites[at];
  Report report;
  report.fault = fault;
  report.kernel = worker_->launch.kernel.name;
  report.block = {block.index.x, block.index.y, block.index.z};
  const std::uint32_t lane = lanes == 0 ? 0 : static_cast<std::uint32_t>(std::countr_zero(lanes));
  const std::uint32_t thread = thread_index(lane);
  const Dim3& size = worker_->launch.config.block;
  report.thread = {thread % size.x, thread / size.x % size.y, thread / size.x / size.y};
  report.instruction = s.text;
  report.file = s.file;
  report.line = s.line;
  report.inner_file = s.inner_file;
  report.inner_line = s.inner_line;
  report.ptx_line = s.ptx_line;
  report.message = std::move(message);
  worker_->launch.add_report(std::move(report), &f.code[at]);
}

void run_unsupported_instruction(Warp& warp, const Instruction& in) {
  warp.fail(Fault::unsupported, warp.active, in.function->unsupported[in.extra]);
}

}  // namespace gpu
