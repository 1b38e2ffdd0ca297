#include "gpu/ops/access.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>

#include "gpu/program/program.hpp"

namespace gpu::ops {
namespace {

using ptx::Space;

u32 lane_of(u32 set) { return static_cast<u32>(std::countr_zero(set)); }

std::string hex(u64 value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

const char* verb(Intent intent) {
  return intent == Intent::read ? "reads" : intent == Intent::write ? "writes" : "updates";
}

void fail_shared(Warp& w, u32 lane, u64 address, u32 bytes, Intent intent) {
  const Block& block = w.block;
  w.fail(Fault::out_of_bounds, 1u << lane,
         std::string(verb(intent)) + " " + std::to_string(bytes) + " bytes at shared address " +
             hex(address) + "; the block's " + std::to_string(block.shared_bytes) +
             " bytes lie from " + hex(kSharedBase) + " to " +
             hex(kSharedBase + block.shared_bytes) + " (dynamic ones from " +
             hex(block.dynamic_shared) + ")");
}

bool place_shared(Warp& w, u32 lane, u64 address, u32 bytes, Intent intent, Access& out) {
  Block& block = w.block;
  const u64 offset = address - kSharedBase;
  const bool in_gap = offset >= block.static_shared && offset < block.dynamic_shared - kSharedBase;
  if (address < kSharedBase || offset > block.shared_bytes || bytes > block.shared_bytes - offset ||
      in_gap) {
    fail_shared(w, lane, address, bytes, intent);
    return false;
  }
  out.data[lane] = block.shared.data() + offset;
  out.defined[lane] = block.shared_defined.data() + offset;
  out.shared_lanes |= 1u << lane;
  return true;
}

bool place_local(Warp& w, u32 lane, u64 address, u32 bytes, Intent intent, Access& out) {
  const u64 limit = w.local_limit();
  if (address > limit || bytes > limit - address) {
    w.fail(Fault::out_of_bounds, 1u << lane,
           std::string(verb(intent)) + " " + std::to_string(bytes) + " bytes at local address " +
               hex(address) + "; the thread's local memory ends at " + hex(limit));
    return false;
  }
  out.data[lane] = w.local_data(lane) + address;
  out.defined[lane] = w.local_defined(lane) + address;
  out.local_lanes |= 1u << lane;
  return true;
}

bool place_param(Warp& w, u32 lane, u64 address, u32 bytes, Intent intent, Access& out) {
  static std::byte all_defined[128];
  static const bool filled = [] {
    std::fill(std::begin(all_defined), std::end(all_defined), std::byte{0xFF});
    return true;
  }();
  auto& parameters = w.worker().launch.parameters;
  if (intent != Intent::read) {
    w.fail(Fault::read_only, 1u << lane, "writes to the kernel's parameters");
    return false;
  }
  if (!filled || address > parameters.size() || bytes > parameters.size() - address) {
    w.fail(Fault::out_of_bounds, 1u << lane,
           "reads " + std::to_string(bytes) + " bytes at offset " + std::to_string(address) +
               " of " + std::to_string(parameters.size()) + " bytes of parameters");
    return false;
  }
  out.data[lane] = parameters.data() + address;
  out.defined[lane] = all_defined;
  return true;
}

bool place_global(Warp& w, u32 lane, u64 address, u32 bytes, Intent intent, Access& out) {
  const Allocation* a = w.worker().find(address, bytes);
  if (a == nullptr || !a->live) {
    const Memory& memory = w.worker().launch.kernel.module->memory();
    w.fail(a == nullptr ? Fault::out_of_bounds : Fault::use_after_free, 1u << lane,
           std::string(verb(intent)) + " " + std::to_string(bytes) + " bytes at " +
               memory.describe(address));
    return false;
  }
  out.data[lane] = a->data + (address - a->begin);
  out.defined[lane] = a->defined + (address - a->begin);
  out.global_lanes |= 1u << lane;
  return true;
}

bool place(Warp& w, Space space, u32 lane, u32 bytes, Intent intent, Access& out) {
  u64& address = out.address[lane];
  if (space == Space::generic) {
    switch (address & kWindowMask) {
      case kSharedWindow:
        space = Space::shared;
        break;
      case kLocalWindow:
        space = Space::local;
        break;
      case kParamWindow:
        space = Space::param;
        break;
      default:
        space = Space::global;
    }
    if (space != Space::global) address &= ~kWindowMask;
  }
  switch (space) {
    case Space::shared:
      return place_shared(w, lane, address, bytes, intent, out);
    case Space::local:
      return place_local(w, lane, address, bytes, intent, out);
    case Space::param:
      return place_param(w, lane, address, bytes, intent, out);
    case Space::constant:
      if (intent != Intent::read) {
        w.fail(Fault::read_only, 1u << lane, "writes to constant memory");
        return false;
      }
      [[fallthrough]];
    default:
      return place_global(w, lane, address, bytes, intent, out);
  }
}

/// Where the addresses of some lanes lie.
struct Span {
  u64 low = ~u64{0}, high = 0;
  u64 bits = 0;  ///< that are set in some address

  Span(const std::array<u64, 32>& address, u32 lanes) {
    for (u32 set = lanes; set != 0; set &= set - 1) {
      const u64 at = address[lane_of(set)];
      low = std::min(low, at);
      high = std::max(high, at);
      bits |= at;
    }
  }
};

void place_from(std::byte* data, std::byte* defined, u64 begin, u32 lanes, Access& out) {
  for (u32 set = lanes; set != 0; set &= set - 1) {
    const u32 lane = lane_of(set);
    const u64 offset = out.address[lane] - begin;
    out.data[lane] = data + offset;
    out.defined[lane] = defined + offset;
  }
}

/// Accesses within one allocation, or a block's shared memory of one kind, which nearly all are:
/// one look-up for the warp.
bool place_together(Warp& w, Space space, const Span& span, u32 lanes, u32 bytes, Access& out) {
  if (space == Space::shared) {
    Block& block = w.block;
    const u64 low = span.low - kSharedBase, end = span.high - kSharedBase + bytes;
    const u64 dynamic = block.dynamic_shared - kSharedBase;
    const bool inside = span.low >= kSharedBase && end <= block.shared_bytes &&
                        (end <= block.static_shared || low >= dynamic);
    if (!inside) return false;
    place_from(block.shared.data(), block.shared_defined.data(), kSharedBase, lanes, out);
    out.shared_lanes = lanes;
    return true;
  }
  if (space != Space::global || span.high - span.low > (u64{1} << 40)) return false;
  const Allocation* a =
      w.worker().find(span.low, static_cast<std::size_t>(span.high - span.low) + bytes);
  if (a == nullptr || !a->live) return false;
  place_from(a->data, a->defined, a->begin, lanes, out);
  out.global_lanes = lanes;
  return true;
}

void count(Warp& w, const Access& access, u32 bytes, Intent intent) {
  SiteTally& tally = w.tally();
  if (access.global_lanes != 0) {
    const u64 total = u64{bytes} * static_cast<u64>(std::popcount(access.global_lanes));
    const u32 sectors = sectors_of(access.address, access.global_lanes, bytes);
    if (intent != Intent::write) {
      tally.read_bytes += total;
      tally.read_sectors += sectors;
    }
    if (intent != Intent::read) {
      tally.written_bytes += total;
      tally.written_sectors += sectors;
    }
  }
  if (access.shared_lanes != 0) count_banks(tally, access.address, access.shared_lanes, bytes);
  if (access.local_lanes != 0) {
    tally.local_bytes += u64{bytes} * static_cast<u64>(std::popcount(access.local_lanes));
  }
}

}  // namespace

void resolve_at(Warp& w, Space space, const std::array<u64, 32>& addresses, u32 lanes, u32 bytes,
                u32 alignment, Intent intent, Access& out) {
  out.lanes = out.shared_lanes = out.global_lanes = out.local_lanes = 0;
  out.address = addresses;
  const Span span(addresses, lanes);
  if ((span.bits & (alignment - 1)) != 0) {
    u32 misaligned = 0;
    for (u32 set = lanes; set != 0; set &= set - 1) {
      const u32 lane = lane_of(set);
      if ((addresses[lane] & (alignment - 1)) != 0) misaligned |= 1u << lane;
    }
    const u32 lane = lane_of(misaligned);
    w.fail(Fault::misaligned, misaligned,
           "address " + hex(addresses[lane]) + " is no multiple of " + std::to_string(alignment));
    lanes &= ~misaligned;
  }
  if (lanes != 0 && place_together(w, space, span, lanes, bytes, out)) {
    out.lanes = lanes;
    return;
  }
  for (u32 set = lanes; set != 0; set &= set - 1) {
    const u32 lane = lane_of(set);
    if (place(w, space, lane, bytes, intent, out)) out.lanes |= 1u << lane;
  }
}

void resolve(Warp& w, const Instruction& in, int source, u32 bytes, u32 alignment, Intent intent,
             Access& out) {
  const Ref base = in.src[source];
  u32 lanes = w.active;
  lanes &= ~w.require_defined(in, source, 1, Fault::undefined_address, "the address");
  std::array<u64, 32> address{};
  const u64 offset = static_cast<u64>(in.offset) + (in.local_frame ? w.frame->local_base : 0);
  const bool narrow = in.space == Space::shared || in.space == Space::local;
  if (base.wide) {
    const u64* quads = w.quads(base);
    for (std::size_t i = 0; i < 32; ++i) address[i] = quads[i] + offset;
  } else {
    const u32* words = w.words(base);
    for (std::size_t i = 0; i < 32; ++i) address[i] = words[i] + offset;
  }
  if (narrow) {
    for (std::size_t i = 0; i < 32; ++i) {
      // 32-bit addresses wrap; a generic one in a register shows by its window
      if (!base.wide) address[i] &= 0xFFFFFFFFu;
    }
  }
  resolve_at(w, in.space, address, lanes, bytes, alignment, intent, out);
  count(w, out, bytes, intent);
}

u32 sectors_of(const std::array<u64, 32>& address, u32 lanes, u32 bytes) {
  std::array<u64, 64> seen;
  u32 count = 0;
  u64 last = ~u64{0};
  bool sorted = true;
  for (u32 set = lanes; set != 0; set &= set - 1) {
    const u32 lane = lane_of(set);
    const u64 first = address[lane] >> 5;
    const u64 end = (address[lane] + bytes - 1) >> 5;
    for (u64 sector = first; sector <= end && count < 64; ++sector) {
      if (sector == last) continue;
      if (last != ~u64{0} && sector < last) sorted = false;
      seen[count++] = sector;
      last = sector;
    }
  }
  if (sorted) return count;
  std::sort(seen.begin(), seen.begin() + count);
  return static_cast<u32>(std::unique(seen.begin(), seen.begin() + count) - seen.begin());
}

void count_banks(SiteTally& tally, const std::array<u64, 32>& address, u32 lanes, u32 bytes) {
  // aligned accesses overlap wholly or not at all: the banks that one takes count as one
  const u32 size = std::max(4u, bytes);
  const u32 group = 128 / size;  // lanes that are served together, and such banks
  u64 not_a_row = 0;
  for (u32 lane = 0; lane < 32; ++lane) not_a_row |= address[lane] - address[0] - u64{lane} * size;
  if (lanes == ~0u && not_a_row == 0) {
    tally.phases += 32 / group;
    return;
  }
  for (u32 first = 0; first < 32; first += group) {
    const u32 mask = (group == 32 ? ~0u : (1u << group) - 1) << first;
    const u32 members = lanes & mask;
    if (members == 0) continue;
    std::array<u8, 32> passes{};
    std::array<std::array<u32, 32>, 32> words;  // distinct ones by bank
    u32 most = 0;
    for (u32 set = members; set != 0; set &= set - 1) {
      const u32 word = static_cast<u32>(address[lane_of(set)]) / size;
      auto& of_bank = words[word % group];
      u8& n = passes[word % group];
      if (std::find(of_bank.begin(), of_bank.begin() + n, word) != of_bank.begin() + n) continue;
      of_bank[n++] = word;
      most = std::max<u32>(most, n);
    }
    tally.phases += most;
    tally.conflicts += most - 1;
  }
}

void report_race(Warp& w, u32 lane, const RaceDetector::Conflict& c) {
  using Kind = RaceDetector::Conflict::Kind;
  if (c.kind == Kind::none) return;
  const Function& f = *w.worker().launch.kernel.function;
  const Dim3& size = w.worker().launch.config.block;
  const u32 thread = c.warp * 32 + c.lane;
  const std::string who = "thread (" + std::to_string(thread % size.x) + ", " +
                          std::to_string(thread / size.x % size.y) + ", " +
                          std::to_string(thread / size.x / size.y) + ")";
  std::string earlier;
  if (c.site < f.sites.size()) {
    earlier =
        " at '" + f.sites[c.site].text + "' (line " + std::to_string(f.sites[c.site].line) + ")";
  }
  const std::string byte =
      "shared byte " + hex(kSharedBase + c.address) + " (offset " + std::to_string(c.address) + ")";
  switch (c.kind) {
    case Kind::in_flight:
      return w.fail(Fault::copy_in_flight, 1u << lane,
                    byte + " is the target of an asynchronous copy that " + who + " started" +
                        earlier + " and has not waited for");
    case Kind::being_read:
      return w.fail(Fault::shared_race, 1u << lane,
                    "writes " + byte + ", which the warpgroup's product that " + who + " started" +
                        earlier + " reads: wgmma.wait_group, and a barrier, must come first");
    case Kind::other_proxy:
      return w.fail(Fault::missing_fence, 1u << lane,
                    "reads " + byte + ", written by " + who + earlier +
                        ", no fence.proxy.async by that thread since (with a barrier after it), "
                        "nor by all lanes of the reading warps since that barrier");
    case Kind::read_after_write:
      return w.fail(Fault::shared_race, 1u << lane,
                    "reads " + byte + ", which " + who + " wrote" + earlier +
                        ", with no barrier between the two");
    case Kind::write_after_write:
      return w.fail(Fault::shared_race, 1u << lane,
                    "writes " + byte + ", which " + who + " wrote" + earlier +
                        ", with no barrier between the two");
    default:
      return w.fail(Fault::shared_race, 1u << lane,
                    "writes " + byte + ", which " + who + " reads" + earlier +
                        ", with no barrier between the two");
  }
}

namespace {

/// Lanes whose address it is.
u32 lanes_at(const std::array<u64, 32>& addresses, u64 address) {
  u32 lanes = 0;
  for (u32 lane = 0; lane < 32; ++lane) lanes |= u32{addresses[lane] == address} << lane;
  return lanes;
}

}  // namespace

void check_read_races(Warp& w, const Access& access, u32 bytes, Strength strength) {
  // Mostly lanes read either all of them what no other one does, or few places.
  bool alike = true;
  for (u32 set = access.shared_lanes, lanes; set != 0; set &= ~lanes) {
    const u32 lane = lane_of(set);
    lanes = 1u << lane;
    if (alike) {
      lanes = lanes_at(access.address, access.address[lane]) & set;
      alike = lanes != 1u << lane;
    }
    const auto offset = static_cast<u32>(access.address[lane] - kSharedBase);
    const auto conflict =
        w.block.races.read({w.index, lane, w.race_site()}, lanes, offset, bytes, strength);
    if (conflict.kind != RaceDetector::Conflict::Kind::none) [[unlikely]] {
      report_race(w, lane, conflict);
    }
  }
}

void check_write_race(Warp& w, u32 lane, u32 offset, u32 bytes, Strength strength,
                      bool same_value) {
  const auto conflict =
      w.block.races.write({w.index, lane, w.race_site()}, offset, bytes, strength, same_value);
  if (conflict.kind != RaceDetector::Conflict::Kind::none) [[unlikely]] {
    report_race(w, lane, conflict);
  }
}

}  // namespace gpu::ops
