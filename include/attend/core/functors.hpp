#pragma once

#include <type_traits>
#include <utility>

#include "problem.hpp"
#include "variant.hpp"

/// @file
/// The user's own score and mask as parts of a call.

namespace attend {

/// A user's change of a score. Made by `score_mod`.
template <class Function>
struct ScoreMod {
  Function function;  ///< `(score, Index) -> score`, for float, double and dual numbers alike

  /// The changed score.
  template <class Real>
  ATTEND_HD constexpr Real operator()(Real score, Index at) const {
    return static_cast<Real>(function(score, at));
  }
};

/// A user's exclusion of keys. Made by `mask_mod`.
template <class Function>
struct MaskMod {
  Function function;  ///< `(Index) -> bool`, true = keep

  /// Whether the key is kept.
  ATTEND_HD constexpr bool operator()(Index at) const { return function(at); }
};

/// Makes a score function part of a call. It sees the score after scale, softcap, bias and ALiBi,
/// and is called for allowed keys only.
///
///     attend::score_mod([](auto score, attend::Index at) { return score - slope[at.h]; })
template <class Function>
constexpr ScoreMod<Function> score_mod(Function function) {
  return {std::move(function)};
}

/// Makes a mask function part of a call: `mask_mod([](attend::Index at) { return at.i >= at.j; })`.
/// A key is allowed if the function and everything else that is given allow it.
template <class Function>
constexpr MaskMod<Function> mask_mod(Function function) {
  return {std::move(function)};
}

/// The score function among a call's functions, in whichever order they come.
constexpr NoScoreMod score_mod_of() { return {}; }
/// @copydoc score_mod_of()
template <class Function, class... Rest>
constexpr ScoreMod<Function> score_mod_of(const ScoreMod<Function>& mod, const Rest&...) {
  return mod;
}
/// @copydoc score_mod_of()
template <class Function, class... Rest>
constexpr auto score_mod_of(const MaskMod<Function>&, const Rest&... rest) {
  return score_mod_of(rest...);
}

/// The mask function among a call's functions, in whichever order they come.
constexpr NoMaskMod mask_mod_of() { return {}; }
/// @copydoc mask_mod_of()
template <class Function, class... Rest>
constexpr MaskMod<Function> mask_mod_of(const MaskMod<Function>& mod, const Rest&...) {
  return mod;
}
/// @copydoc mask_mod_of()
template <class Function, class... Rest>
constexpr auto mask_mod_of(const ScoreMod<Function>&, const Rest&... rest) {
  return mask_mod_of(rest...);
}

/// What may follow a call: the result of `score_mod` or of `mask_mod`.
template <class X>
concept Functor = requires(const X& x) {
  requires !(std::is_same_v<decltype(score_mod_of(x)), NoScoreMod> &&
             std::is_same_v<decltype(mask_mod_of(x)), NoMaskMod>);
};

}  // namespace attend
