#include "gpu/ops/arithmetic.hpp"
#include "gpu/ops/groups.hpp"

namespace gpu::ops {
namespace {

/// Instructions that change speed only.
void decode_nothing(Decoder& d) {
  while (!d.take_any().empty()) {
  }
  d.set([](Warp&, const Instruction&) {}, nullptr);
}

/// createpolicy: any value will do, as no instruction looks at it.
void decode_policy(Decoder& d) {
  while (!d.take_any().empty()) {
  }
  d.dst(0, ptx::Type::b64);
  d.set(
      [](Warp& w, const Instruction& in) {
        for (u32 lane = 0; lane < 32; ++lane) {
          if ((w.active >> lane & 1) != 0) w.set_value(in.dst[0], lane, 0);
        }
        w.define_results(in);
      },
      nullptr);
}

}  // namespace

void register_hints(Registry& r) {
  for (const char* name :
       {"prefetch", "prefetchu", "applypriority", "discard", "griddepcontrol", "pmevent"}) {
    r.add(name, decode_nothing);
  }
  r.add("createpolicy", decode_policy);
}

}  // namespace gpu::ops
