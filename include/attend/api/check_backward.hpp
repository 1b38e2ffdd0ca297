#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "call.hpp"
#include "check.hpp"
#include "gradients.hpp"

/// @file
/// Checks of what the user passes to a backward pass.

namespace attend {

/// An argument's own extents, before it was broadcast; leading ones where its rank is lower.
template <class T, int... Ranks>
Extents<Argument<T, Ranks...>::kMaxRank> own_extents(const Argument<T, Ranks...>& argument) {
  Extents<Argument<T, Ranks...>::kMaxRank> extents;
  const int missing = static_cast<int>(extents.size()) - argument.rank();
  for (int axis = 0; axis < static_cast<int>(extents.size()); ++axis)
    extents[static_cast<std::size_t>(axis)] = axis < missing ? 1 : argument.extent(axis - missing);
  return extents;
}

/// What a backward pass reads fits the problem.
template <class T>
void check_incoming(const Problem& problem, const BackwardTensors<T>& tensors) {
  const Extents<4> out{problem.batch, problem.heads, problem.len_q, problem.head_dim_v};
  const Extents<3> rows{problem.batch, problem.heads, problem.len_q};
  const auto check = [](const auto& view, const char* name, const auto& extents) {
    check_extents(view.extents(), name, extents, "from q and v");
    check_tensor(view, name);
  };
  check(tensors.out, "forward.out", out);
  check(tensors.lse, "forward.lse", rows);
  check(tensors.grad_out, "grad_out", out);
  if (tensors.grad_lse.given()) check(tensors.grad_lse, "grad_lse", rows);
}

/// Calls `visit(tensor, name)` for each tensor that a backward pass reads, given or not.
template <class T, class V, class Visit>
void each_read(const Call<T>& call, const V& variant, const BackwardTensors<T>& tensors,
               const Visit& visit) {
  visit(tensors.q, "q");
  visit(tensors.k, "k");
  visit(tensors.v, "v");
  visit(tensors.out, "forward.out");
  visit(tensors.lse, "forward.lse");
  visit(tensors.grad_out, "grad_out");
  visit(tensors.grad_lse, "grad_lse");
  each_tensor(call, variant, visit);
}

/// Calls `visit(tensor, name)` for each tensor that a backward pass writes, wanted or not.
template <class T, class Visit>
void each_written(const BackwardTensors<T>& tensors, const Visit& visit) {
  visit(tensors.dq, "dq");
  visit(tensors.dk, "dk");
  visit(tensors.dv, "dv");
  visit(tensors.dbias, "dbias");
  visit(tensors.dsink, "dsink");
  visit(tensors.parameters, "dparameters");
}

/// What a backward pass reads and writes lies at the place of the call, where q does.
/// @throws value_error naming what does not
template <class Place, class T, class V>
void check_at(const Place& place, const Call<T>& call, const V& variant,
              const BackwardTensors<T>& tensors) {
  const auto check = [&](const auto& view, const char* name) { place.check(view, name); };
  each_read(call, variant, tensors, check);
  each_written(tensors, check);
}

/// Where a backward pass writes fits the problem, and is apart from what it reads and writes
/// elsewhere.
template <class T, Device device, class V>
void check_gradients(const V& variant, const Call<T>& call,
                     const GradientOutputs<T, device>& outputs, const BackwardTensors<T>& tensors) {
  const auto given = [](const auto& output, const char* name, bool has, const char* what) {
    if (output.given() && !has)
      throw value_error(std::string(name) + " was given; there is no " + what + " in the call");
    return output.given();
  };
  check_output(tensors.dq, "dq", tensors.q.extents());
  check_output(tensors.dk, "dk", tensors.k.extents());
  check_output(tensors.dv, "dv", tensors.v.extents());
  if (given(outputs.dbias, "dbias", call.bias.given(), "bias"))
    check_output(tensors.dbias, "dbias", own_extents(call.bias));
  if (given(outputs.dsink, "dsink", call.sink.given(), "sink"))
    check_output(tensors.dsink, "dsink", own_extents(call.sink));
  if (given(outputs.dparameters, "dparameters", V::kHasParameters, "score_mod with parameters"))
    check_output(tensors.parameters, "dparameters", Extents<1>{variant.score_mod.parameters()});

  struct Named {
    Footprint footprint;
    const char* name;
  };
  std::vector<Named> written, read;
  each_written(tensors, [&](const auto& view, const char* name) {
    written.push_back({Footprint(view), name});
  });
  each_read(call, variant, tensors, [&](const auto& view, const char* name) {
    read.push_back({Footprint(view), name});
  });
  const auto check_pair = [](const Named& output, const Named& other) {
    if (output.footprint.overlaps(other.footprint))
      throw value_error(std::string(output.name) + " overlaps " + other.name +
                        "; expected memory of its own");
  };
  for (std::size_t n = 0; n < written.size(); ++n) {
    for (const Named& other : read) check_pair(written[n], other);
    for (std::size_t other = 0; other < n; ++other) check_pair(written[n], written[other]);
  }
}

}  // namespace attend
