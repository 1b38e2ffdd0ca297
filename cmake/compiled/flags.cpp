// A part of attend::compiled.
#include <attend/attend.hpp>

template <int kAlignment, int kInstructions>
void attend::cpu::attend_compiled_needs_the_same_instruction_flags() {}

template void attend::cpu::attend_compiled_needs_the_same_instruction_flags<
    EIGEN_MAX_ALIGN_BYTES, attend::cpu::kInstructionFlags>();
template void
attend::cpu::attend_compiled_needs_the_same_instruction_flags<EIGEN_MAX_ALIGN_BYTES, -1>();
