#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "../core/functors.hpp"
#include "call.hpp"
#include "check.hpp"

/// @file
/// From what the user asks for to the variant that the paths compute, checked.

namespace attend {

/// The shift of each batch element, for `Causal::offset`.
inline Integers checked_shifts(const Causal& causal, const Problem& problem) {
  if (!causal.shared_shift()) return checked(causal.shifts(), "causal.offset", problem);
  return causal.shifts().values().repeated();
}

/// A scale in the type of the computation, where a huge one must not become infinite.
template <class Real>
Real scale_of(double scale) {
  constexpr double kMost = std::numeric_limits<Real>::max();
  return static_cast<Real>(std::clamp(scale, -kMost, kMost));
}

/// A softcap in the type of the computation, where a tiny one must not become 0 (none), nor a huge
/// one infinite.
template <class Real>
Real softcap_of(double softcap) {
  if (softcap == 0 || softcap > static_cast<double>(std::numeric_limits<Real>::max())) return 0;
  return std::max(static_cast<Real>(softcap), std::numeric_limits<Real>::min());
}

/// The variant of one call, without dropout, whose bits are drawn last. Refers to the call's
/// memory.
/// @throws shape_error, value_error naming the field.
template <class T, class... Mods>
auto variant_of(const Problem& problem, const Call<T>& call, EmptyRow empty_row,
                const Mods&... mods) {
  static_assert(kAtMostOneOfEach<Mods...>, "a call takes one score_mod and one mask_mod at most");
  using Real = RealOf<T>;
  using ScoreMod = decltype(score_mod_of(mods...));
  using MaskMod = decltype(mask_mod_of(mods...));
  if (call.scale) check_number(*call.scale, "scale");
  check_number(call.softcap, "softcap", 0);
  check_window(call.window);

  const Extents<4> scores{problem.batch, problem.heads, problem.len_q, problem.len_k};
  const Extents<2> per_head{problem.batch, problem.heads};
  constexpr Axes kAll{0, 1, 2, 3}, kKeys{0, 3}, kHead{1}, kBatchHead{0, 1};
  const Device device = problem.device;

  Variant<Real, ScoreMod, MaskMod> variant{.score_mod = score_mod_of(mods...),
                                           .mask_mod = mask_mod_of(mods...)};
  check_functor(variant.score_mod, problem);
  check_functor(variant.mask_mod, problem);
  variant.scale =
      scale_of<Real>(call.scale.value_or(1 / std::sqrt(static_cast<double>(problem.head_dim))));
  variant.softcap = softcap_of<Real>(call.softcap);
  variant.bias = broadcast<4>(call.bias, "bias", scores, kAll, device);
  variant.alibi = broadcast<2>(call.alibi, "alibi", per_head,
                               call.alibi.rank() == 1 ? kHead : kBatchHead, device);
  variant.mask =
      broadcast<4>(call.mask, "mask", scores, call.mask.rank() == 2 ? kKeys : kAll, device);
  variant.sink =
      broadcast<2>(call.sink, "sink", per_head, call.sink.rank() == 1 ? kHead : kBatchHead, device);
  variant.causal = call.causal.active();
  variant.window = call.window;
  variant.alignment = call.causal.alignment();
  variant.offsets = checked_shifts(call.causal, problem);
  variant.key_lengths = checked(call.key_lengths, "key_lengths", problem);
  check_key_lengths(call.key_lengths, problem);
  variant.empty_row = empty_row;
  return variant;
}

}  // namespace attend
