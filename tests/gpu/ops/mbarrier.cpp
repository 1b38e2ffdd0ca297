// mbarrier objects, and the copies that complete on them. PTX manual, "Parallel Synchronization and
// Communication Instructions: mbarrier" (cp.async.mbarrier.arrive is one of them) and
// "cp.async.bulk".
#include "gpu/machine/mbarrier.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "gpu/ops/access.hpp"
#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/async.hpp"
#include "gpu/ops/groups.hpp"
#include "gpu/ops/mbarrier.hpp"

namespace gpu::ops {
namespace {

using ptx::Operand;
using ptx::Space;
using ptx::Type;

enum class Op : u8 {
  init,
  inval,
  arrive,
  expect,
  arrive_expect,
  wait_parity,
  wait_state,
  copies,          ///< an arrival that the phase does not expect yet
  expected_copies  ///< .noinc
};

constexpr u32 kMostArrivals = (1u << 20) - 1;

u32 lane_of(u32 set) { return static_cast<u32>(std::countr_zero(set)); }

/// The object at a lane's address; fails where there is none.
MBarrier* find(Warp& w, u32 lane, u32 offset) {
  report_race(
      w, lane,
      w.block.races.read({w.index, lane, w.race_site()}, 1u << lane, offset, 8, Strength::strong));
  const auto it = w.block.mbarriers.find(offset);
  if (it != w.block.mbarriers.end()) return &it->second;
  w.fail(Fault::barrier, 1u << lane,
         "there is no mbarrier object at shared offset " + std::to_string(offset) +
             "; mbarrier.init must come first");
  return nullptr;
}

void end_phase_if_complete(MBarrier& m) {
  if (m.pending != 0 || m.bytes != 0) return;
  ++m.phase;
  m.pending = m.count;
  m.known = std::move(m.arrived);
  m.arrived.clear();
}

bool count_arrivals(Warp& w, u32 lanes, MBarrier& m, u64 count) {
  if (count == 0 || count > m.pending) {
    w.fail(Fault::barrier, lanes,
           std::to_string(count) + " arrivals, but the phase misses " + std::to_string(m.pending) +
               " of " + std::to_string(m.count));
    return false;
  }
  m.pending -= static_cast<u32>(count);
  return true;
}

void arrive(Warp& w, u32 lane, MBarrier& m, u64 count) {
  if (!count_arrivals(w, 1u << lane, m, count)) return;
  w.block.races.publish(w.index, m.arrived);
  end_phase_if_complete(m);
}

/// The copies end, and their thread arrives: of what it did, that makes no more known than them.
void arrive_after_copies(Warp& w, MBarrier& m, const CopyArrival& arrival) {
  end_first_copies(*w.block.warps[arrival.warp], arrival.lane, arrival.copies);
  if (!count_arrivals(w, w.active, m, 1)) return;
  w.block.races.publish_copies(arrival.warp, m.arrived);
  end_phase_if_complete(m);
}

void land(Block& block, MBarrier& m, const BulkCopy& copy) {
  const auto bytes = static_cast<u32>(copy.data.size());
  std::memcpy(block.shared.data() + copy.offset, copy.data.data(), bytes);
  std::memcpy(block.shared_defined.data() + copy.offset, copy.defined.data(), bytes);
  block.races.end_copy({copy.warp, copy.lane, copy.site}, copy.offset, bytes,
                       RaceDetector::Ending::bulk);
  block.races.publish(copy.warp, m.arrived);
  m.bytes -= bytes;
  end_phase_if_complete(m);
}

void land_all(Warp& w, MBarrier& m) {
  const std::vector<BulkCopy> copies = std::exchange(m.copies, {});
  for (const BulkCopy& copy : copies) land(w.block, m, copy);
  const std::vector<CopyArrival> arrivals = std::exchange(m.arrivals, {});
  for (const CopyArrival& arrival : arrivals) arrive_after_copies(w, m, arrival);
}

/// The lane arrives when the copies that it has begun have ended.
void track_copies(Warp& w, u32 lane, MBarrier& m, bool is_expected) {
  if (!is_expected) {
    if (m.pending == kMostArrivals) {
      w.fail(Fault::barrier, 1u << lane, "more arrivals than an mbarrier can expect");
      return;
    }
    ++m.pending;
  }
  CopyQueue& queue = w.copies[lane];
  queue.tracked = queue.begun;
  const CopyArrival arrival{w.index, lane, queue.begun};
  if (queue.ended == queue.begun || happens_early(w)) return arrive_after_copies(w, m, arrival);
  m.arrivals.push_back(arrival);
  m.asked = false;
}

void check_idle(Warp& w, u32 lane, const MBarrier& m) {
  if (!m.tracks_copies()) return;
  w.fail(Fault::copy_in_flight, 1u << lane, "copies that this mbarrier tracks are in flight");
}

void init(Warp& w, u32 lane, u32 offset, u64 count) {
  if (count == 0 || count > kMostArrivals) {
    w.fail(Fault::barrier, 1u << lane,
           "an mbarrier expects " + std::to_string(count) + " arrivals; 1 to 1048575 are possible");
    return;
  }
  check_write_race(w, lane, offset, 8, Strength::weak, false);
  std::memset(w.block.shared.data() + offset, 0, 8);
  std::memset(w.block.shared_defined.data() + offset, 0xFF, 8);
  MBarrier& m = w.block.mbarriers[offset];
  check_idle(w, lane, m);
  m = {};
  m.count = m.pending = static_cast<u32>(count);
  m.thread = w.thread_index(lane);
}

/// True if the phase has ended. As late as that can be: copies land when somebody has asked before.
bool has_ended(Warp& w, MBarrier& m, bool by_parity, u64 phase) {
  const auto ended = [&] { return by_parity ? (m.phase & 1) != phase : m.phase > phase; };
  if (!ended() && m.tracks_copies()) {
    if (m.asked) land_all(w, m);
    m.asked = !m.asked;
    return false;
  }
  if (!ended()) return false;
  w.block.races.learn(w.index, m.known);
  return true;
}

/// Sources: the address, and a count, bytes, a parity or a state (`flags`: there is one).
void mbarrier_run(Warp& w, const Instruction& in) {
  Access access;
  resolve(w, in, 0, 8, 8, Intent::atomic, access);
  const auto op = static_cast<Op>(in.mode);
  const u32 undefined = in.src_count > 1 ? w.require_defined(in, 1, in.src_count - 1,
                                                             Fault::undefined_operand, "an operand")
                                         : 0;
  u32 truth = 0;
  for (u32 set = access.lanes & ~undefined; set != 0; set &= set - 1) {
    const u32 lane = lane_of(set);
    if ((access.shared_lanes >> lane & 1) == 0) {
      w.fail(Fault::out_of_bounds, 1u << lane, "an mbarrier object must be in shared memory");
      continue;
    }
    const auto offset = static_cast<u32>(access.address[lane] - kSharedBase);
    const u64 value = in.src_count > 1 ? w.value(in.src[1], lane) : 1;
    if (op == Op::init) {
      init(w, lane, offset, value);
      continue;
    }
    MBarrier* m = find(w, lane, offset);
    if (m == nullptr) continue;
    const u64 phase = m->phase;
    switch (op) {
      case Op::inval:
        check_idle(w, lane, *m);
        check_write_race(w, lane, offset, 8, Strength::weak, false);
        w.block.mbarriers.erase(offset);
        break;
      case Op::expect:
      case Op::arrive_expect:
        m->bytes += static_cast<s64>(value);
        if (op == Op::arrive_expect) arrive(w, lane, *m, 1);
        break;
      case Op::arrive:
        arrive(w, lane, *m, value);
        break;
      case Op::copies:
      case Op::expected_copies:
        track_copies(w, lane, *m, op == Op::expected_copies);
        break;
      default:
        if (has_ended(w, *m, op == Op::wait_parity, value)) truth |= 1u << lane;
    }
    const bool gives_state = op == Op::arrive || op == Op::arrive_expect;
    if (gives_state && in.dst_count != 0) w.set_value(in.dst[0], lane, phase);
  }
  w.define_results(in);
  if (op == Op::wait_parity || op == Op::wait_state) w.set_predicate(in.dst[0], truth);
}

std::array<u64, 32> address_of(Warp& w, const Instruction& in, int source, s64 offset, u32 lane) {
  std::array<u64, 32> address{};
  address[lane] = w.value(in.src[source], lane) + static_cast<u64>(offset);
  return address;
}

/// Sources: target, source, bytes, mbarrier.
void bulk_run(Warp& w, const Instruction& in) {
  if (w.require_defined(in, 0, 4, Fault::undefined_operand, "an operand of the copy") != 0) return;
  Instruction barrier = in;
  barrier.space = Space::shared;
  barrier.offset = in.target;
  Access object;
  resolve(w, barrier, 3, 8, 8, Intent::atomic, object);
  const u32 all = w.active;
  for (u32 set = object.lanes; set != 0; set &= set - 1) {
    const u32 lane = lane_of(set);
    w.active = 1u << lane;
    const auto bytes = static_cast<u32>(w.value(in.src[2], lane));
    if (bytes == 0 || bytes % 16 != 0) {
      w.fail(Fault::misaligned, w.active,
             std::to_string(bytes) + " bytes are no multiple of 16 (and not 0)");
      continue;
    }
    Access target, source;
    resolve_at(w, Space::shared, address_of(w, in, 0, in.second_offset, lane), w.active, bytes, 16,
               Intent::write, target);
    resolve_at(w, Space::global, address_of(w, in, 1, in.offset, lane), w.active, bytes, 16,
               Intent::read, source);
    w.tally().read_bytes += bytes;
    w.tally().read_sectors += (bytes + 31) / 32;
    MBarrier* m = find(w, lane, static_cast<u32>(object.address[lane] - kSharedBase));
    if (target.lanes == 0 || source.lanes == 0 || m == nullptr) continue;
    if (!m->is_fenced) {
      w.fail(Fault::missing_fence, w.active,
             "the mbarrier was initialised by thread " + std::to_string(m->thread) +
                 ", no fence.mbarrier_init or fence.proxy.async by that thread since");
    }
    BulkCopy copy{
        w.index, lane, w.race_site(), static_cast<u32>(target.address[lane] - kSharedBase), {}, {}};
    copy.data.assign(source.data[lane], source.data[lane] + bytes);
    copy.defined.assign(source.defined[lane], source.defined[lane] + bytes);
    report_race(w, lane, w.block.races.begin_copy({w.index, lane, copy.site}, copy.offset, bytes));
    m->copies.push_back(std::move(copy));
    m->asked = false;
    if (happens_early(w)) land_all(w, *m);
  }
  w.active = all;
}

void take_barrier_space(Decoder& d) {
  d.take_ordering();
  d.in().space = d.accept("shared::cluster") ? Space::shared : d.take_space();
}

void decode_mbarrier(Decoder& d) {
  d.require_target(8);
  Instruction& in = d.in();
  in.effect = true;
  const auto finish = [&](Op op, std::size_t address) {
    in.mode = static_cast<u8>(op);
    take_barrier_space(d);
    d.expect("b64");
    d.address(d.operand(address));
    d.set(mbarrier_run, nullptr);
  };
  if (d.accept("init")) {
    finish(Op::init, 0);
    return d.src(1, Type::u32);
  }
  if (d.accept("inval")) return finish(Op::inval, 0);
  if (d.accept("arrive")) {
    const bool expects = d.accept("expect_tx");
    finish(expects ? Op::arrive_expect : Op::arrive, 1);
    if (!d.is_sink(0)) d.dst(0, Type::b64);
    if (expects || d.operand_count() > 2) d.src(2, Type::u32);
    return;
  }
  if (d.accept("expect_tx")) {
    finish(Op::expect, 0);
    return d.src(1, Type::u32);
  }
  if (d.accept_one({"try_wait", "test_wait"}) < 0) throw Unsupported("mbarrier of this kind");
  const bool parity = d.accept("parity");
  d.dst(0, Type::pred);
  finish(parity ? Op::wait_parity : Op::wait_state, 1);
  d.src(2, parity ? Type::u32 : Type::b64);  // a hint of time may follow
}

}  // namespace

void decode_bulk_copy(Decoder& d) {
  Instruction& in = d.in();
  if (!d.accept("shared::cluster") && !d.accept("shared::cta")) {
    throw Unsupported("bulk copies from shared memory");
  }
  d.expect("global");
  d.expect("mbarrier::complete_tx::bytes");
  if (d.accept("L2::cache_hint") && d.operand_count() != 5) throw Unsupported("expected a policy");
  d.address(d.operand(0));
  in.second_offset = in.offset;
  d.address(d.operand(1));
  const auto offset = in.offset;
  d.src(2, Type::u32);
  d.address(d.operand(3));
  if (in.offset < 0) throw Unsupported("a negative offset of the mbarrier");
  in.target = static_cast<u32>(in.offset);
  in.offset = offset;
  d.set(bulk_run, nullptr);
}

void decode_copy_arrival(Decoder& d) {
  Instruction& in = d.in();
  d.expect("arrive");
  in.mode = static_cast<u8>(d.accept("noinc") ? Op::expected_copies : Op::copies);
  in.space = d.take_space();
  d.expect("b64");
  d.address(d.operand(0));
  d.set(mbarrier_run, nullptr);
}

void arrive_for_ended_copies(Warp& w) {
  for (auto& [offset, m] : w.block.mbarriers) {
    const auto waits = [&](const CopyArrival& a) {
      return a.warp != w.index || a.copies > w.copies[a.lane].ended;
    };
    const auto first = std::stable_partition(m.arrivals.begin(), m.arrivals.end(), waits);
    const std::vector<CopyArrival> due(first, m.arrivals.end());
    m.arrivals.erase(first, m.arrivals.end());
    for (const CopyArrival& arrival : due) arrive_after_copies(w, m, arrival);
  }
}

void fence_mbarriers(Warp& w) {
  for (auto& [offset, m] : w.block.mbarriers) {
    if (m.thread / 32 == w.index && (w.active >> m.thread % 32 & 1) != 0) m.is_fenced = true;
  }
}

void register_mbarrier(Registry& r) { r.add("mbarrier", decode_mbarrier); }

}  // namespace gpu::ops
