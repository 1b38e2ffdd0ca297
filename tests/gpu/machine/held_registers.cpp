// What instructions may do with registers that the products of a warpgroup use. PTX manual,
// "wgmma.mma_async": accesses to them, before wgmma.wait_group, are undefined behaviour.
#include "gpu/machine/worker.hpp"

namespace gpu {
namespace {

std::string place_of(const Function& f, std::uint32_t site) {
  return "'" + f.sites[site].text + "' (line " + std::to_string(f.sites[site].line) + ")";
}

}  // namespace

/// A copy of a whole register to another one. nvcc puts such copies anywhere: where loops begin and
/// end, while products are in flight, and for zeros between a fence and a product; ptxas lets both
/// have one place. So it is no access, and what is known of the one holds for the other. But the
/// result of a product is read by it. (Source code that has to compute a register before a fence
/// must say so, as with asm volatile("" : "+f"(x)): nvcc moves other instructions too.)
bool Warp::rename(Ref from, Ref to) {
  if (active != ~0u || (from.bank == to.bank && from.unit == to.unit)) return false;
  HeldRegister& target = held[to.unit];
  if (target.accumulators != nullptr || target.readers != 0) return false;
  if (from.bank == Ref::constants) {
    target = {};
    return true;
  }
  HeldRegister& source = held[from.unit];
  target = source;
  target.readers = 0;
  if (source.accumulators != nullptr) {
    source.accumulators->names.emplace_back(source.element, to.unit);
  } else if (source.is_result) {
    source.accessed = fences + 1;
    source.by = site_;
  }
  return true;
}

void Warp::watch(const Instruction& in) {
  if (frame->parent != nullptr || held.empty()) return;
  const Function& f = *frame->function;
  const auto is_held = [&](Ref r) { return r.bank == Ref::registers && f.held[r.unit]; };
  const bool from_held = in.renames && (in.src[0].bank == Ref::constants || is_held(in.src[0]));
  if (from_held && is_held(in.dst[0]) && rename(in.src[0], in.dst[0])) return;
  const auto fail_in_flight = [&](const char* what, std::uint32_t by) {
    fail(Fault::product_in_flight, active,
         std::string(what) + " " + place_of(f, by) +
             " is in flight; wgmma.wait_group must come first");
  };
  const std::uint32_t stamp = fences + 1;
  for (int i = 0; i < in.src_count; ++i) {
    if (!is_held(in.src[i])) continue;
    HeldRegister& h = held[in.src[i].unit];
    if (h.accumulators != nullptr) {
      fail_in_flight("reads a register that is an accumulator:", h.accumulators->site);
    }
    h.accessed = stamp;
    h.by = site_;
  }
  for (int i = 0; i < in.dst_count; ++i) {
    if (!is_held(in.dst[i])) continue;
    HeldRegister& h = held[in.dst[i].unit];
    if (h.accumulators != nullptr) {
      fail_in_flight("writes a register that is an accumulator:", h.accumulators->site);
    } else if (h.readers != 0) {
      fail_in_flight("writes a register that holds a part of A:", h.by);
    }
    h.accessed = h.written = stamp;
    h.is_result = false;
    h.by = site_;
  }
}

}  // namespace gpu
