#include <atomic>

#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"
#include "gpu/ops/mbarrier.hpp"
#include "gpu/ops/warp_wide.hpp"

namespace gpu::ops {
namespace {

using ptx::Type;
using Arrival = Block::Arrival;

enum Flag : u8 { kWaits = 1, kAligned = 2, kCounted = 4 };

/// Sources: the predicate of a reduction (if `mode` says there is one), the barrier's number, and
/// the count of threads (kCounted).
void barrier_run(Warp& w, const Instruction& in) {
  const bool aligned = (in.flags & kAligned) != 0;
  const auto reduction = static_cast<Arrival::Reduction>(in.mode);
  const int first = reduction == Arrival::Reduction::none ? 0 : 1;
  if (aligned && !w.gathered_all()) return;
  if (w.require_defined(in, 0, in.src_count, Fault::undefined_operand,
                        "an operand of the barrier") != 0) {
    return;
  }
  const auto lane = static_cast<u32>(std::countr_zero(w.active));
  const u64 number = w.value(in.src[first], lane);
  const u64 threads = (in.flags & kCounted) != 0 ? w.value(in.src[first + 1], lane) : 0;
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const auto other = static_cast<u32>(std::countr_zero(set));
    if (w.value(in.src[first], other) != number ||
        ((in.flags & kCounted) != 0 && w.value(in.src[first + 1], other) != threads)) {
      w.fail(Fault::barrier, 1u << other, "lanes of a warp name different barriers or counts");
    }
  }
  if (number > 15 || threads % 32 != 0 || threads > 1024) {
    w.fail(Fault::barrier, w.active,
           "barrier " + std::to_string(number) + " with " + std::to_string(threads) +
               " threads; numbers go from 0 to 15, counts are multiples of 32 up to 1024");
    return;
  }
  w.block.arrive(w, in,
                 {static_cast<u32>(number), static_cast<u32>(threads), aligned,
                  (in.flags & kWaits) != 0, reduction});
}

/// bar.warp.sync orders the memory accesses of the lanes it names.
void warp_sync_run(Warp& w, const Instruction& in) {
  u32 mask = 0;
  if (!gather_members(w, in, 0, mask)) return;
  w.block.races.warp_sync(w.index, mask == w.alive ? ~0u : mask);
}

void decode_operands(Decoder& d, std::size_t first) {
  d.src(first, Type::u32);
  if (d.operand_count() > first + 1) {
    d.src(first + 1, Type::u32);
    d.in().flags |= kCounted;
  }
}

/// bar is barrier.aligned.
template <bool always_aligned>
void decode_barrier(Decoder& d) {
  Instruction& in = d.in();
  in.effect = true;
  if (d.accept("cluster")) {
    // clusters of one block: arrive and wait have nothing to wait for
    d.accept_one({"arrive", "wait"});
    d.accept_one({"release", "acquire", "relaxed"});
    d.accept("aligned");
    in.flags = kAligned;
    return d.set(
        [](Warp& w, const Instruction&) {
          if (w.worker().launch.config.cluster.count() > 1) {
            w.fail(Fault::unsupported, w.active, "barriers of clusters are not supported yet");
          }
        },
        nullptr);
  }
  if (d.accept("warp")) {
    d.expect("sync");
    d.src(0, Type::b32);
    return d.set(warp_sync_run, nullptr);
  }
  d.accept("cta");
  const bool aligned = d.accept("aligned");
  if (always_aligned || aligned) in.flags |= kAligned;
  if (d.accept("arrive")) {
    decode_operands(d, 0);
    if ((in.flags & kCounted) == 0) throw Unsupported("arrive needs a count of threads");
    return d.set(barrier_run, nullptr);
  }
  in.flags |= kWaits;
  if (d.accept("sync")) {
    decode_operands(d, 0);
    return d.set(barrier_run, nullptr);
  }
  d.expect("red");
  const int op = d.accept_one({"popc", "and", "or"});
  if (op < 0) throw Unsupported("expected a reduction");
  in.mode = static_cast<u8>(op == 0   ? Arrival::Reduction::popc
                            : op == 1 ? Arrival::Reduction::all
                                      : Arrival::Reduction::any);
  const Type type = d.take_type();
  d.dst(0, type);
  // d, a {, b}, {!}c
  const std::size_t last = d.operand_count() - 1;
  d.src(last, Type::pred);
  d.src(1, Type::u32);
  if (last == 3) {
    d.src(2, Type::u32);
    in.flags |= kCounted;
  }
  d.set(barrier_run, nullptr);
}

void fence_run(Warp& w, const Instruction&) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  w.block.races.fence(w.index);
}

/// Writes of these lanes before it can be seen by the asynchronous proxy after it. It orders
/// nothing else.
void proxy_fence_run(Warp& w, const Instruction&) {
  w.block.races.proxy_fence(w.index, w.active);
  fence_mbarriers(w);
}

void decode_proxy_fence(Decoder& d) {
  d.in().effect = true;
  d.expect("async");
  const bool elsewhere = d.accept("global");
  d.accept_one({"shared::cta", "shared::cluster"});
  d.set(elsewhere ? [](Warp&, const Instruction&) {} : proxy_fence_run, nullptr);
}

void decode_fence(Decoder& d) {
  if (d.has("proxy") && d.has("async")) {
    d.accept("proxy");
    return decode_proxy_fence(d);
  }
  if (d.accept("mbarrier_init")) {
    d.expect("release");
    d.expect("cluster");
    return d.set([](Warp& w, const Instruction&) { fence_mbarriers(w); }, nullptr);
  }
  while (!d.take_any().empty()) {
  }
  d.set(fence_run, nullptr);
}

}  // namespace

void register_barrier(Registry& r) {
  r.add("bar", decode_barrier<true>);
  r.add("barrier", decode_barrier<false>);
  r.add("membar", decode_fence);
  r.add("fence", decode_fence);
}

}  // namespace gpu::ops
