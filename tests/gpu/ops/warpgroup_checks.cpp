// What a program must not do with products of warpgroups: checked before one starts.
#include "gpu/ops/warpgroup.hpp"

namespace gpu::ops::wgmma {
namespace {

/// All lanes have the same defined value.
bool is_uniform(Warp& w, const Instruction& in, int source, const char* what) {
  const bool address = in.src[source].wide;
  if (w.require_defined(in, source, 1,
                        address ? Fault::undefined_address : Fault::undefined_operand, what) != 0) {
    return false;
  }
  const Ref r = in.src[source];
  u32 different = 0;
  if (r.predicate) {
    const u32 lanes = w.predicate(r);
    if (lanes != 0 && lanes != ~0u) different = ~lanes;
  } else {
    for (u32 lane = 1; lane < 32; ++lane) {
      if (w.value(r, lane) != w.value(r, 0)) different |= 1u << lane;
    }
  }
  if (different == 0) return true;
  w.fail(Fault::divergence, different, std::string(what) + " differs between lanes of the warp");
  return false;
}

/// wgmma.fence orders accesses of the warp to registers that the product uses.
bool check_fences(Warp& w, const Instruction& in, const Operands& o) {
  const u32 stamp = w.fences + 1;
  if (w.fences == 0) {
    w.fail(Fault::missing_fence, w.active,
           "wgmma.fence must come before the first product of a kernel");
    return false;
  }
  for (int i = 0; i < o.accumulators; ++i) {
    const HeldRegister& h = w.held[in.src[i].unit];
    if (h.accumulators != nullptr) continue;
    if (h.accessed == stamp) {
      w.fail(Fault::missing_fence, w.active,
             "accumulator " + std::to_string(i) + " was used by " + place_of(in, h.by) +
                 ", no wgmma.fence since");
      return false;
    }
    if (h.produced == stamp && h.shape != o.shape) {
      w.fail(Fault::missing_fence, w.active,
             "accumulator " + std::to_string(i) +
                 " belongs to a product of another shape, no wgmma.fence since");
      return false;
    }
  }
  if ((in.flags & kRegistersA) == 0) return true;
  for (int i = 0; i < 4; ++i) {
    const HeldRegister& h = w.held[in.src[o.a + i].unit];
    if (h.written != stamp) continue;
    w.fail(Fault::missing_fence, w.active,
           "register " + std::to_string(i) + " of A was written by " + place_of(in, h.by) +
               ", no wgmma.fence since");
    return false;
  }
  return true;
}

/// The accumulators are not in flight, or those of one earlier product of the same shape.
bool check_in_flight(Warp& w, const Instruction& in, const Operands& o) {
  const auto fail = [&](std::string what, u32 site) {
    w.fail(Fault::product_in_flight, w.active,
           std::move(what) + ": " + place_of(in, site) +
               "; wgmma.wait_group must come first, unless both have the same shape and the same "
               "accumulators");
    return false;
  };
  const auto& first = w.held[in.src[0].unit].accumulators;
  for (int i = 0; i < o.accumulators; ++i) {
    const HeldRegister& h = w.held[in.src[i].unit];
    const std::string name = "accumulator " + std::to_string(i);
    if (h.readers != 0) return fail(name + " is a part of A in flight", h.by);
    if (h.accumulators == nullptr && first == nullptr) continue;
    const bool same =
        h.accumulators == first && h.element == static_cast<u32>(i) && first->shape == o.shape;
    if (!same)
      return fail(name + " is in flight otherwise",
                  (h.accumulators ? h.accumulators : first)->site);
  }
  if ((in.flags & kRegistersA) == 0) return true;
  for (int i = 0; i < 4; ++i) {
    const HeldRegister& h = w.held[in.src[o.a + i].unit];
    if (h.accumulators != nullptr) {
      return fail("register " + std::to_string(i) + " of A is an accumulator in flight",
                  h.accumulators->site);
    }
  }
  return true;
}

}  // namespace

std::string place_of(const Instruction& in, u32 site) {
  const Site& s = in.function->sites[site];
  return "'" + s.text + "' (line " + std::to_string(s.line) + ")";
}

bool in_kernel(Warp& w) {
  if (w.frame->parent == nullptr) return true;
  w.fail(Fault::unsupported, w.active,
         "wgmma is supported in kernels and what is inlined into them, not in called functions");
  return false;
}

bool is_sound(Warp& w, const Instruction& in, const Operands& o) {
  return check_in_flight(w, in, o) && check_fences(w, in, o) &&
         ((in.flags & kRegistersA) != 0 || is_uniform(w, in, o.a, "the descriptor of A")) &&
         is_uniform(w, in, o.b, "the descriptor of B") && is_uniform(w, in, o.scale, "scale-d");
}

}  // namespace gpu::ops::wgmma
