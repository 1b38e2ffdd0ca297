#pragma once

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "dual.hpp"
#include "misfit.hpp"
#include "problem.hpp"
#include "variant.hpp"

/// @file
/// The user's own score and mask as parts of a call.

namespace attend {

/// A score function with parameters that can be trained: `parameters()` says how many, and
/// `scatter(score, gradient, at, add)` calls `add(n, x)` for each parameter n that the score at
/// `at` depends on, where x is `gradient` (of the loss by what the function returned) times the
/// derivative by that parameter. `score` is the value that the function was called with, a plain
/// number.
template <class Function>
concept HasParameters = requires(const Function& function) {
  { function.parameters() } -> std::convertible_to<std::int64_t>;
};

/// A mask function that can tell how much of a block it allows: `coverage(IndexBlock) -> Coverage`.
template <class Function>
concept HasCoverage = requires(const Function& function, IndexBlock block) {
  { function.coverage(block) } -> std::same_as<Coverage>;
};

/// A function that can tell whether what it refers to fits a problem: `misfit(Problem) -> Misfit`.
/// It is asked before anything is computed.
template <class Function>
concept HasMisfit = requires(const Function& function, Problem problem) {
  { function.misfit(problem) } -> std::same_as<Misfit>;
};

/// A function that tells where what it refers to lies: `static constexpr Device kDevice`. One that
/// has such functions in it should tell as well.
template <class Function>
concept HasDevice = requires {
  { Function::kDevice } -> std::convertible_to<Device>;
};

/// A function whose tensors are known to lie on a device, or the host.
template <class Function, Device device>
struct Located : Function {
  static constexpr Device kDevice = device;  ///< where they lie
};

/// Whether a function can run on a device, or the host: not where it tells that it refers to memory
/// of another.
template <class Function, Device device>
inline constexpr bool kRunsOn = true;
/// @copydoc kRunsOn
template <HasDevice Function, Device device>
inline constexpr bool kRunsOn<Function, device> = Function::kDevice == device;

/// What a function refers to and does not fit, if it can tell.
template <class Function>
ATTEND_HD constexpr Misfit misfit_of(const Function& function, const Problem& problem) {
  if constexpr (HasMisfit<Function>) {
    return function.misfit(problem);
  } else {
    return {};
  }
}

/// A user's change of a score. Made by `score_mod`.
template <class Function>
struct ScoreMod {
  /// Whether it has parameters that can be trained.
  static constexpr bool kHasParameters = HasParameters<Function>;

  Function function;  ///< `(score, Index) -> score`, for `Score` and `Dual` numbers alike

  /// The changed score.
  template <class Real>
  ATTEND_HD constexpr Real operator()(Real score, Index at) const {
    if constexpr (std::is_arithmetic_v<Real>) {
      if constexpr (std::is_invocable_v<const Function&, Score<Real>, Index>)
        return static_cast<Real>(function(Score<Real>(score), at));
      else
        return static_cast<Real>(function(score, at));
    } else {
      return function(score, at);
    }
  }

  /// See `HasMisfit`.
  ATTEND_HD constexpr Misfit misfit(const Problem& problem) const {
    return misfit_of(function, problem);
  }

  /// How many parameters, 0 where it has none.
  ATTEND_HD constexpr std::int64_t parameters() const {
    if constexpr (kHasParameters) {
      return function.parameters();
    } else {
      return 0;
    }
  }

  /// Adds to the gradient of the parameters, as `HasParameters` says.
  template <class Real, class Add>
  ATTEND_HD constexpr void scatter(Real score, Real gradient, Index at, const Add& add) const {
    function.scatter(score, gradient, at, add);
  }
};

/// A user's exclusion of keys. Made by `mask_mod`.
template <class Function>
struct MaskMod {
  Function function;  ///< `(Index) -> bool`, true = keep

  /// Whether the key is kept.
  ATTEND_HD constexpr bool operator()(Index at) const { return function(at); }

  /// See `HasMisfit`.
  ATTEND_HD constexpr Misfit misfit(const Problem& problem) const {
    return misfit_of(function, problem);
  }

  /// How much of a block is kept; `some` where the function does not tell.
  ATTEND_HD constexpr Coverage coverage(const IndexBlock& block) const {
    if constexpr (HasCoverage<Function>) {
      return function.coverage(block);
    } else {
      return Coverage::some;
    }
  }
};

/// @copydoc kRunsOn
template <class Function, Device device>
inline constexpr bool kRunsOn<ScoreMod<Function>, device> = kRunsOn<Function, device>;
/// @copydoc kRunsOn
template <class Function, Device device>
inline constexpr bool kRunsOn<MaskMod<Function>, device> = kRunsOn<Function, device>;

/// Makes a score function part of a call. It sees the score after scale, softcap, bias and ALiBi,
/// and is called for allowed keys only: with a `Score`, a number that knows the functions of cmath
/// by their plain names (write `tanh(s)`, not `std::tanh(s)`), and for its derivative with a
/// `Dual`. A function of `float` will do where no gradients are asked for. Parameters can be
/// trained where `HasParameters` holds. Cast distances to `int`, `static_cast<int>(at.i - at.j)`:
/// without AVX-512 a compiler's vectors convert 32-bit integers to float, but not 64-bit ones.
///
///     attend::score_mod([](auto score, attend::Index at) { return score - slope[at.h]; })
template <class Function>
constexpr ScoreMod<Function> score_mod(Function function) {
  return {std::move(function)};
}

/// Makes a mask function part of a call: `mask_mod([](attend::Index at) { return at.i >= at.j; })`.
/// A key is allowed if the function and everything else that is given allow it. An object with a
/// member `coverage(IndexBlock)` lets paths skip blocks (`HasCoverage`).
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

/// Whether a function of a call's, if it changes scores, takes the numbers that know a derivative.
template <class Mod, class Real>
inline constexpr bool kTakesDuals = true;
/// @copydoc kTakesDuals
template <class Function, class Real>
inline constexpr bool kTakesDuals<ScoreMod<Function>, Real> =
    std::is_invocable_v<const Function&, Dual<Real>, Index>;

/// What may follow a call of `backward`: a function that changes scores has to be generic, `(auto
/// score, attend::Index)`, as it is called with a `Dual` number for its derivative.
template <class X, class Real>
concept FunctorWithDerivative = Functor<X> && kTakesDuals<X, Real>;

/// Whether there is at most one function of each kind among a call's.
template <class... Mods>
inline constexpr bool kAtMostOneOfEach =
    (0 + ... + !std::is_same_v<decltype(score_mod_of(std::declval<const Mods&>())), NoScoreMod>) <=
        1 &&
    (0 + ... + !std::is_same_v<decltype(mask_mod_of(std::declval<const Mods&>())), NoMaskMod>) <= 1;

}  // namespace attend
