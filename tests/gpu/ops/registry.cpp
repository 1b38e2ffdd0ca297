#include "gpu/program/registry.hpp"

#include "gpu/ops/groups.hpp"

namespace gpu {

const Registry& Registry::instance() {
  static const Registry registry = [] {
    Registry r;
    ops::register_arithmetic(r);
    ops::register_integer(r);
    ops::register_logic(r);
    ops::register_approx(r);
    ops::register_compare(r);
    ops::register_move(r);
    ops::register_convert(r);
    ops::register_control(r);
    ops::register_memory(r);
    ops::register_atomics(r);
    ops::register_warp(r);
    ops::register_barrier(r);
    ops::register_matrix(r);
    ops::register_matrix_move(r);
    ops::register_warpgroup(r);
    ops::register_mbarrier(r);
    ops::register_async(r);
    ops::register_hints(r);
    return r;
  }();
  return registry;
}

}  // namespace gpu
