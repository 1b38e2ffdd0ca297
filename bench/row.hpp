// What is measured: one row is one attention problem on one input.
#pragma once

#include <attend/core/problem.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

/// How q, k, v and the output lie in memory.
enum class Layout {
  heads_outer,  ///< (b h n d)
  heads_inner,  ///< (b n (h d)), as a linear layer writes it, seen as (b h n d)
};

/// Which keys a boolean mask keeps.
enum class Mask {
  none,
  padding,  ///< (b j): the recorded one, else all keys of the last batch element, 3/4 of the others
  full,     ///< (1 1 i j): 15 of 16 pairs, at random
};

/// What else a call asks for.
enum class Extra { none, bias, alibi, window, softcap, sink, dropout };

/// What is computed.
enum class Pass {
  forward,   ///< the output
  backward,  ///< the gradients by q, k and v, from a saved output
  training,  ///< the output and then the gradients
};

/// One problem on one input.
struct Row {
  std::string name;         ///< `group/...`, unique
  attend::Problem problem;  ///< shapes and element type
  Pass pass = Pass::forward;
  bool causal = false;  ///< bottom right
  Mask mask = Mask::none;
  Extra extra = Extra::none;
  bool functions = false;  ///< causal or the extra comes as a function of the user's
  Layout layout = Layout::heads_outer;
  std::string recorded = {};  ///< `tests/data/minilm/RECORDED.q.npy` and so on; empty: random input

  /// Few queries over a long cache: bound by memory, so counted in bytes.
  bool decoding() const { return problem.len_q == 1; }
};

/// Every row that attend_bench measures, group by group.
std::vector<Row> all_rows();

/// "f16", "bf16" or "f32", the element types that are measured.
/// @throws std::invalid_argument for another one.
attend::Dtype dtype_of(const std::string& name);

}  // namespace bench
