#include "gpu/ops/async.hpp"

#include <algorithm>
#include <cstring>

#include "gpu/ops/access.hpp"
#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"
#include "gpu/ops/mbarrier.hpp"

namespace gpu::ops {
namespace {

using ptx::Space;
using ptx::Type;
using Ending = RaceDetector::Ending;

enum Flag : u8 { kHasSize = 1, kHasIgnore = 2 };

u32 lane_of(u32 set) { return static_cast<u32>(std::countr_zero(set)); }

void land(Warp& w, PendingCopy& copy) {
  if (copy.landed) return;
  std::memcpy(w.block.shared.data() + copy.offset, copy.data.data(), copy.bytes);
  std::memcpy(w.block.shared_defined.data() + copy.offset, copy.defined.data(), copy.bytes);
  copy.landed = true;
}

/// The first `count` copies of the queue's oldest group that has some end.
void end_copies(Warp& w, CopyQueue& queue, CopyGroup& group, u64 count, Ending ending) {
  const auto last = group.copies.begin() + static_cast<std::ptrdiff_t>(count);
  for (auto copy = group.copies.begin(); copy != last; ++copy) {
    land(w, *copy);
    w.block.races.end_copy({w.index, copy->lane, copy->site}, copy->offset, copy->bytes, ending);
  }
  group.copies.erase(group.copies.begin(), last);
  queue.ended += count;
}

/// Sources: destination, source, and the size of the source or the predicate that says to ignore
/// it.
void copy_run(Warp& w, const Instruction& in) {
  const u32 bytes = in.bytes;
  Instruction to = in, from = in;
  to.space = Space::shared;
  to.offset = in.second_offset;
  from.space = Space::global;
  Access target, source;
  u32 sizes_undefined = 0;
  if (in.src_count > 2) {
    sizes_undefined = w.require_defined(in, 2, 1, Fault::undefined_operand, "the size of the copy");
  }
  const u32 ignored = (in.flags & kHasIgnore) != 0 ? w.predicate(in.src[2]) : 0;
  std::array<u32, 32> sizes;
  u32 reads = 0;
  for (u32 lane = 0; lane < 32; ++lane) {
    sizes[lane] = bytes;
    if ((in.flags & kHasSize) != 0) {
      sizes[lane] = static_cast<u32>(w.value(in.src[2], lane));
    } else if ((ignored >> lane & 1) != 0) {
      sizes[lane] = 0;
    }
    if ((w.active >> lane & 1) == 0) continue;
    if (sizes[lane] > bytes) {
      w.fail(Fault::undefined_operand, 1u << lane, "a copy can't read more than it writes");
      sizes[lane] = bytes;
    }
    if (sizes[lane] != 0) reads |= 1u << lane;
  }
  resolve(w, to, 0, bytes, bytes, Intent::write, target);
  const u32 all = w.active;
  w.active = reads & target.lanes;
  if (w.active != 0) {
    resolve(w, from, 1, bytes, bytes, Intent::read, source);
  }
  w.active = all;
  const bool early = happens_early(w);
  const u32 lanes = target.lanes & ~sizes_undefined & (source.lanes | ~reads);
  for (u32 set = lanes; set != 0; set &= set - 1) {
    const u32 lane = lane_of(set);
    const auto offset = static_cast<u32>(target.address[lane] - kSharedBase);
    report_race(w, lane, w.block.races.begin_copy({w.index, lane, w.race_site()}, offset, bytes));
    PendingCopy copy;
    copy.lane = lane;
    copy.offset = offset;
    copy.bytes = bytes;
    copy.site = w.race_site();
    copy.landed = false;
    copy.data.fill(std::byte{0});
    copy.defined.fill(std::byte{0xFF});
    if (sizes[lane] != 0) {
      std::memcpy(copy.data.data(), source.data[lane], sizes[lane]);
      std::memcpy(copy.defined.data(), source.defined[lane], sizes[lane]);
    }
    if (early) land(w, copy);
    w.copies[lane].open.copies.push_back(copy);
    ++w.copies[lane].begun;
  }
}

/// Its thread has waited for a group.
void finish_group(Warp& w, CopyQueue& queue, CopyGroup& group) {
  end_copies(w, queue, group, group.copies.size(), Ending::wait);
  if (group.arrived) w.block.races.learn_copies(w.index);
}

void commit_run(Warp& w, const Instruction&) {
  for (u32 set = w.active; set != 0; set &= set - 1) {
    CopyQueue& queue = w.copies[lane_of(set)];
    queue.groups.push_back(std::move(queue.open));
    queue.open = {};
  }
}

/// All but the newest `offset` groups of the lane have landed.
void finish_groups(Warp& w, const Instruction& in) {
  for (u32 set = w.active; set != 0; set &= set - 1) {
    CopyQueue& queue = w.copies[lane_of(set)];
    const auto keep = static_cast<std::size_t>(in.offset);
    while (queue.groups.size() > keep) {
      finish_group(w, queue, queue.groups.front());
      queue.groups.erase(queue.groups.begin());
    }
  }
}

void wait_run(Warp& w, const Instruction& in) {
  finish_groups(w, in);
  arrive_for_ended_copies(w);
}

void wait_all_run(Warp& w, const Instruction& in) {
  finish_groups(w, in);
  for (u32 set = w.active; set != 0; set &= set - 1) {
    CopyQueue& queue = w.copies[lane_of(set)];
    finish_group(w, queue, queue.open);
    queue.open = {};
  }
  arrive_for_ended_copies(w);
}

void decode_copy(Decoder& d) {
  Instruction& in = d.in();
  in.effect = true;
  d.expect("async");
  d.require_target(8);
  if (d.accept("commit_group")) return d.set(commit_run, nullptr);
  if (d.accept("wait_all")) return d.set(wait_all_run, nullptr);
  if (d.accept("wait_group")) {
    in.offset = d.literal(0);
    return d.set(wait_run, nullptr);
  }
  if (d.accept("bulk")) return decode_bulk_copy(d);
  if (d.accept("mbarrier")) return decode_copy_arrival(d);
  const bool only_l2 = d.has("cg");
  d.take_ordering();
  if (!d.accept("shared") && !d.accept("shared::cta")) throw Unsupported("expected .shared");
  d.expect("global");
  d.address(d.operand(0));
  in.second_offset = in.offset;
  d.address(d.operand(1));
  const std::int64_t bytes = d.literal(2);
  if (bytes != 16 && (only_l2 || (bytes != 4 && bytes != 8))) {
    throw Unsupported("a copy is of 16 bytes, with .ca also of 4 or 8");
  }
  in.bytes = static_cast<u8>(bytes);
  if (d.operand_count() > 3 && d.register_type(d.operand(3)) == Type::pred) {
    in.flags = kHasIgnore;
    d.src(3, Type::pred);
  } else if (d.operand_count() > 3 && ptx::bytes_of(d.register_type(d.operand(3))) != 8) {
    in.flags = kHasSize;
    d.src(3, Type::b32);
  }
  d.set(copy_run, nullptr);
}

}  // namespace

bool happens_early(Warp& w) {
  const CopyTiming timing = w.worker().launch.options.copies;
  if (timing != CopyTiming::by_seed) return timing == CopyTiming::early;
  return (w.block.random.next() & 1) != 0;
}

void end_first_copies(Warp& w, u32 lane, u64 copies) {
  CopyQueue& queue = w.copies[lane];
  const auto end_those_of = [&](CopyGroup& group) {
    if (queue.ended >= copies || group.copies.empty()) return;
    const u64 count = std::min<u64>(copies - queue.ended, group.copies.size());
    end_copies(w, queue, group, count, Ending::arrival);
    group.arrived = true;
  };
  for (CopyGroup& group : queue.groups) end_those_of(group);
  end_those_of(queue.open);
}

void register_async(Registry& r) { r.add("cp", decode_copy); }

}  // namespace gpu::ops
