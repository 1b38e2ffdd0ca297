#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "../core/error.hpp"
#include "../core/forward_tensors.hpp"
#include "../core/functors.hpp"
#include "../core/overlap.hpp"
#include "../core/problem.hpp"
#include "../core/variant.hpp"
#include "argument.hpp"
#include "call.hpp"

/// @file
/// Checks of what the user passes. Each throws an error that names the argument, what it was and
/// what was expected.

namespace attend {

/// "(2, 8, 16, 64)"
template <std::size_t Rank>
std::string text(const std::array<std::int64_t, Rank>& extents, int rank = static_cast<int>(Rank)) {
  std::string list;
  for (int axis = 0; axis < rank; ++axis)
    list += (axis > 0 ? ", " : "") + std::to_string(extents[static_cast<std::size_t>(axis)]);
  return "(" + list + ")";
}

/// Extents whose product, those of 0 left out, is a count of elements.
/// @throws shape_error if it is not; `what` says whose they are
template <std::size_t Rank>
void check_count(const std::array<std::int64_t, Rank>& extents, const std::string& what) {
  std::int64_t count = 1;
  for (const std::int64_t extent : extents)
    if (extent > 0 && __builtin_mul_overflow(count, extent, &count))
      throw shape_error(what + " has extents " + text(extents) +
                        "; expected fewer than 2^63 elements");
}

/// Extents are not negative, and a tensor with elements has memory, aligned to its element type.
template <class T, int Rank>
void check_tensor(const View<T, Rank>& view, const std::string& name) {
  bool empty = false;
  for (int axis = 0; axis < Rank; ++axis) {
    if (view.extent(axis) < 0)
      throw shape_error(name + " has extents " + text(view.extents()) + "; expected none below 0");
    empty = empty || view.extent(axis) == 0;
  }
  check_count(view.extents(), name);
  if (empty) return;
  if (view.data() == nullptr)
    throw value_error(name + " is a null pointer; expected " + text(view.extents()) + " elements");
  if (reinterpret_cast<std::uintptr_t>(view.data()) % alignof(T) != 0)
    throw value_error(name + "'s address is not a multiple of " + std::to_string(alignof(T)) +
                      ", the alignment of its elements");
}

/// All extents are as expected; `as` says where that comes from.
template <std::size_t Rank>
void check_extents(const std::array<std::int64_t, Rank>& extents, const std::string& name,
                   const std::array<std::int64_t, Rank>& expected, const std::string& as) {
  if (extents != expected)
    throw shape_error(name + " has extents " + text(extents) + "; expected " + text(expected) +
                      ", " + as);
}

/// The sizes of a problem from q, k and v, which must fit one another.
template <class T>
Problem checked_problem(const View<const T, 4>& q, const View<const T, 4>& k,
                        const View<const T, 4>& v, Device device) {
  for (const auto& [view, name] : {std::pair{&q, "q"}, std::pair{&k, "k"}, std::pair{&v, "v"}}) {
    if (!view->given()) throw value_error(std::string(name) + " is a null view; expected a tensor");
    check_tensor(*view, name);
  }
  if (q.extent(3) == 0) throw shape_error("q has head dim 0; expected at least 1");
  const auto count = [](std::int64_t n, const char* what) {
    return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
  };
  const auto same = [&](std::int64_t a, const char* name_a, std::int64_t b, const char* name_b,
                        const char* what) {
    if (a != b)
      throw shape_error(std::string(name_a) + " has " + count(a, what) + "; expected " +
                        std::to_string(b) + ", as " + name_b + " has");
  };
  same(k.extent(0), "k", q.extent(0), "q", "batch element");
  same(v.extent(0), "v", q.extent(0), "q", "batch element");
  same(v.extent(1), "v", k.extent(1), "k", "head");
  same(v.extent(2), "v", k.extent(2), "k", "key");
  if (k.extent(3) != q.extent(3))
    throw shape_error("k has head dim " + std::to_string(k.extent(3)) + "; expected " +
                      std::to_string(q.extent(3)) + ", as q has");
  const std::int64_t heads = q.extent(1);
  const std::int64_t heads_kv = k.extent(1);
  if (heads_kv == 0 ? heads != 0 : heads % heads_kv != 0)
    throw shape_error("k has " + count(heads_kv, "head") + "; the " + count(heads, "query head") +
                      " must be a multiple of them");
  check_count(Extents<4>{q.extent(0), heads, q.extent(2), v.extent(3)}, "the output of q and v");
  return {.batch = q.extent(0),
          .heads = heads,
          .heads_kv = heads_kv,
          .len_q = q.extent(2),
          .len_k = k.extent(2),
          .head_dim = q.extent(3),
          .head_dim_v = v.extent(3),
          .dtype = ElementTraits<T>::kDtype,
          .device = device};
}

/// Which axes of a target the axes of an argument are.
using Axes = std::array<int, 4>;

/// An argument as a view of extents `target`: its axes are the target's at `axes`, and those of
/// extent 1 are repeated. Null if the argument was not given.
template <int Rank, class T, int... Ranks>
View<const T, Rank> broadcast(const Argument<T, Ranks...>& argument, const std::string& name,
                              const Extents<Rank>& target, const Axes& axes, Device device) {
  if (!argument.given()) return {};
  if (argument.device() != device)
    throw value_error(name + " lies on the " + attend::name(argument.device()) + "; expected " +
                      attend::name(device) + ", where q, k and v lie");
  Extents<Rank> given{};
  Strides<Rank> strides{};
  given.fill(1);
  std::string expected;
  bool fits = true;
  bool empty = false;
  for (int n = 0; n < argument.rank(); ++n) {
    const auto axis = static_cast<std::size_t>(axes[static_cast<std::size_t>(n)]);
    given[axis] = argument.extent(n);
    strides[axis] = argument.extent(n) == 1 ? 0 : argument.stride(n);
    fits = fits && (argument.extent(n) == 1 || argument.extent(n) == target[axis]);
    empty = empty || argument.extent(n) == 0;
    expected += (n > 0 ? ", " : "") +
                (target[axis] == 1 ? "" : std::to_string(target[axis]) + " or ") + "1";
  }
  if (!fits) {
    Extents<Rank> extents{};
    for (int n = 0; n < argument.rank(); ++n)
      extents[static_cast<std::size_t>(n)] = argument.extent(n);
    throw shape_error(name + " has extents " + text(extents, argument.rank()) + "; expected (" +
                      expected + ")");
  }
  if (!empty) check_tensor(View<const T, Rank>(argument.data(), given, strides), name);
  return {argument.data(), target, strides};
}

/// One integer per batch element, on the host or where q, k and v lie. Null if they were not given.
inline Integers checked(const BatchIntegers& integers, const std::string& name,
                        const Problem& problem) {
  if (!integers.given()) return {};
  if (integers.device() != Device::host && integers.device() != problem.device)
    throw value_error(name + " lies on the " + attend::name(integers.device()) + "; expected " +
                      attend::name(problem.device) + ", where q, k and v lie");
  if (integers.size() != problem.batch)
    throw shape_error(name + " has " + std::to_string(integers.size()) + " elements; expected " +
                      std::to_string(problem.batch) + ", one per batch element");
  if (integers.readable()) return integers.values();
  throw value_error(integers.address() == nullptr
                        ? name + " is a null pointer; expected " + std::to_string(problem.batch) +
                              " elements"
                        : name + "'s address is not a multiple of " +
                              std::to_string(integers.width()) + ", the alignment of its elements");
}

/// A number is finite and not below `least`.
inline void check_number(double value, const char* name,
                         double least = -std::numeric_limits<double>::infinity()) {
  if (std::isfinite(value) && value >= least) return;
  throw value_error(std::string(name) + " is " + std::to_string(value) +
                    "; expected a finite number" + (least == 0 ? " not below 0" : ""));
}

/// A probability.
inline void check_dropout(double dropout) {
  if (!(dropout >= 0 && dropout <= 1))
    throw value_error("dropout is " + std::to_string(dropout) + "; expected 0 to 1");
}

/// The sides of a window are lengths, or -1.
inline void check_window(const Window& window) {
  for (const auto& [side, name] :
       {std::pair{window.left, "left"}, std::pair{window.right, "right"}})
    if (side < -1)
      throw value_error(std::string("window.") + name + " is " + std::to_string(side) +
                        "; expected a number of keys, or -1 for no bound");
}

/// Key lengths on the host are lengths of the keys there are.
inline void check_key_lengths(const BatchIntegers& lengths, const Problem& problem) {
  if (!lengths.given() || lengths.device() != Device::host) return;
  for (std::int64_t b = 0; b < problem.batch; ++b) {
    const std::int64_t length = lengths.values()[b];
    if (length < 0 || length > problem.len_k)
      throw value_error("key_lengths[" + std::to_string(b) + "] is " + std::to_string(length) +
                        "; expected 0 to " + std::to_string(problem.len_k));
  }
}

/// What a functor refers to fits the problem, as far as it can tell.
template <class Mod>
void check_functor(const Mod& mod, const Problem& problem) {
  const Misfit misfit = misfit_of(mod, problem);
  if (misfit.name == nullptr) return;
  const auto [first, second] = misfit.expected;
  throw shape_error(
      std::string(misfit.name) + " has extents " +
      text(Extents<2>{misfit.was[0], misfit.was[1]}, misfit.rank) + "; expected " +
      text(Extents<2>{first, second}, misfit.rank) +
      (misfit.shared && first != 1 ? " or " + text(Extents<2>{1, second}, misfit.rank) : "") +
      ", from q and k");
}

/// An output's extents are as expected, no two of its elements share memory.
template <class Output, std::size_t Rank>
void check_output(const Output& output, const std::string& name,
                  const std::array<std::int64_t, Rank>& expected) {
  check_extents(output.extents(), name, expected, "from q and v");
  check_tensor(output, name);
  if (Footprint(output).overlaps_itself())
    throw value_error(name +
                      " has elements that share memory; expected each in a place of its own");
}

/// Two tensors share no memory.
template <class A, class B>
void check_apart(const A& output, const std::string& name, const B& other,
                 const std::string& other_name) {
  if (Footprint(output).overlaps(Footprint(other)))
    throw value_error(name + " overlaps " + other_name + "; expected memory of its own");
}

/// Calls `visit(tensor, name)` for each tensor that a call is given, or not.
template <class T, class V, class Visit>
void each_tensor(const Call<T>& call, const V& variant, const Visit& visit) {
  visit(variant.bias, "bias");
  visit(variant.alibi, "alibi");
  visit(variant.mask, "mask");
  visit(variant.sink, "sink");
  visit(call.key_lengths.on_device(), "key_lengths");
  visit(call.causal.shifts().on_device(), "causal.offset");
}

/// Calls `visit(tensor, name)` for each tensor that a forward pass reads, given or not.
template <class T, class V, class Visit>
void each_read(const Call<T>& call, const V& variant, const ForwardTensors<T>& tensors,
               const Visit& visit) {
  visit(tensors.q, "q");
  visit(tensors.k, "k");
  visit(tensors.v, "v");
  each_tensor(call, variant, visit);
}

/// What a forward pass reads and writes lies at the place of the call, where q does.
/// @throws value_error naming what does not
template <class Place, class T, class V>
void check_at(const Place& place, const Call<T>& call, const V& variant,
              const ForwardTensors<T>& tensors) {
  const auto check = [&](const auto& view, const char* name) { place.check(view, name); };
  each_read(call, variant, tensors, check);
  check(tensors.out, "out");
  check(tensors.lse, "lse");
}

/// Where a forward pass writes fits the problem, and is apart from what it reads.
template <class Output, std::size_t Rank, class T, class V>
void check_destination(const Output& output, const std::string& name,
                       const std::array<std::int64_t, Rank>& expected, const Call<T>& call,
                       const V& variant, const ForwardTensors<T>& inputs) {
  check_output(output, name, expected);
  each_read(call, variant, inputs,
            [&](const auto& view, const char* other) { check_apart(output, name, view, other); });
}

}  // namespace attend
