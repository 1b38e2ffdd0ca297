#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "gpu/machine/warp.hpp"
#include "gpu/ops/numbers.hpp"
#include "gpu/program/decoder.hpp"

namespace gpu::ops {

/// True where the host has AVX2 and FMA: then the wide versions of lane operations run.
bool host_is_wide();

template <class T>
using Storage = std::conditional_t<sizeof(T) == 8, u64, u32>;

template <class T>
[[gnu::always_inline]] inline T unpack(Storage<T> bits) {
  if constexpr (sizeof(T) == 1) {
    return std::bit_cast<T>(static_cast<u8>(bits));
  } else if constexpr (sizeof(T) == 2) {
    return std::bit_cast<T>(static_cast<u16>(bits));
  } else {
    return std::bit_cast<T>(bits);
  }
}

template <class T>
[[gnu::always_inline]] inline Storage<T> pack(T value) {
  if constexpr (sizeof(T) == 1) {
    return std::bit_cast<u8>(value);
  } else if constexpr (sizeof(T) == 2) {
    return std::bit_cast<u16>(value);
  } else {
    return std::bit_cast<Storage<T>>(value);
  }
}

/// The lanes of a source; a predicate's are bits.
template <class T>
struct Lanes {
  const Storage<T>* at;
  [[gnu::always_inline]] T operator[](int i) const { return unpack<T>(at[i]); }
};
template <>
struct Lanes<bool> {
  u32 bits;
  [[gnu::always_inline]] bool operator[](int i) const { return (bits >> i & 1u) != 0; }
};

template <class T>
[[gnu::always_inline]] inline Lanes<T> lanes_of(Warp& w, Ref r) {
  if constexpr (std::is_same_v<T, bool>) {
    return {w.predicate(r)};
  } else if constexpr (sizeof(T) == 8) {
    return {w.quads(r)};
  } else {
    return {w.words(r)};
  }
}

/// Writes the active lanes of a result.
void commit(Warp& w, Ref dst, const u32* lanes);
void commit(Warp& w, Ref dst, const u64* lanes);

/// An instruction whose lanes are independent: F maps a lane's sources to its result. It is
/// compiled twice, for any x86-64 and for AVX2 with FMA.
template <class Signature, class F>
struct Lanewise;

template <class R, class... A, class F>
struct Lanewise<R(A...), F> {
  template <std::size_t... I>
  [[gnu::always_inline]] static inline void body(Warp& w, const Instruction& in,
                                                 std::index_sequence<I...>) {
    const std::tuple<Lanes<A>...> src{lanes_of<A>(w, in.src[I])...};
    if constexpr (std::is_same_v<R, bool>) {
      u32 bits = 0;
      for (int i = 0; i < 32; ++i) {
        bits |= static_cast<u32>(F{}(std::get<I>(src)[i]...)) << i;
      }
      w.set_predicate(in.dst[0], bits);
    } else {
      alignas(64) Storage<R> out[32];
      for (int i = 0; i < 32; ++i) out[i] = pack<R>(F{}(std::get<I>(src)[i]...));
      commit(w, in.dst[0], out);
    }
  }

  [[gnu::flatten]] static void plain(Warp& w, const Instruction& in) {
    body(w, in, std::index_sequence_for<A...>{});
  }
  [[gnu::target("avx2,fma,bmi,bmi2,lzcnt,popcnt"), gnu::flatten]] static void wide(
      Warp& w, const Instruction& in) {
    body(w, in, std::index_sequence_for<A...>{});
  }
};

template <class Signature, class F>
Run lanewise(F) {
  return host_is_wide() ? &Lanewise<Signature, F>::wide : &Lanewise<Signature, F>::plain;
}

/// Like lanewise for operations whose steps the host must not vectorise or duplicate: one lane at a
/// time, with the instruction at hand for its modifiers; only active lanes are computed.
template <class R, class... A, class F>
void each_active(Warp& w, const Instruction& in, F f) {
  const std::tuple<Lanes<A>...> src = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return std::tuple<Lanes<A>...>{lanes_of<A>(w, in.src[I])...};
  }
  (std::index_sequence_for<A...>{});
  for (u32 set = w.active; set != 0; set &= set - 1) {
    const int i = std::countr_zero(set);
    const R result = std::apply([&](const auto&... s) { return f(s[i]...); }, src);
    w.set_value(in.dst[0], static_cast<u32>(i), pack<R>(result));
  }
}

}  // namespace gpu::ops
