#pragma once

#include "gpu/program/registry.hpp"

namespace gpu::ops {

// One function per group of instructions, each in the file of its name; registry.cpp calls them
// all.
void register_arithmetic(Registry& registry);
void register_integer(Registry& registry);
void register_logic(Registry& registry);
void register_approx(Registry& registry);
void register_compare(Registry& registry);
void register_move(Registry& registry);
void register_convert(Registry& registry);
void register_control(Registry& registry);
void register_memory(Registry& registry);
void register_atomics(Registry& registry);
void register_warp(Registry& registry);
void register_barrier(Registry& registry);
void register_matrix(Registry& registry);
void register_matrix_move(Registry& registry);
void register_warpgroup(Registry& registry);
void register_mbarrier(Registry& registry);
void register_async(Registry& registry);
void register_hints(Registry& registry);

}  // namespace gpu::ops
