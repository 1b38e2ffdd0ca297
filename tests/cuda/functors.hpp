// Functions of a user's, compiled into kernels in functors.cu.
#pragma once

#include <attend/core/view.hpp>
#include <attend/cuda/launch/functors.hpp>
#include <attend/cuda/view.hpp>
#include <cstdint>

namespace functors {

/// A change of scores, chosen when the program runs.
struct Score {
  enum class Kind { none, softcap, clamp, alibi, relative, pairs };
  Kind kind = Kind::none;
  float cap = 1;                             ///< of softcap and clamp
  attend::View<const float, 1> slopes = {};  ///< (h), of alibi; query i stands at key i + 30
  attend::View<const float, 2> table = {};   ///< of relative; (i j), of pairs
};

/// An exclusion of keys, chosen when the program runs.
struct Mask {
  enum class Kind { none, causal, documents, prefix };
  Kind kind = Kind::none;
  attend::View<const std::int32_t, 2> ids_q = {}, ids_k = {};  ///< of documents
  bool ascending = false;
  attend::Integers lengths = {};  ///< (b), of prefix
};

/// Function objects, for float.
attend::cuda::Functors<float> chosen(const Score& score, const Mask& mask);

/// A lambda that caps scores softly, and documents of ascending ids, for half.
attend::cuda::Functors<attend::F16> softcap_in_documents(
    float cap, const attend::cuda::View<const std::int32_t, 2>& ids);

/// A lambda for host and device, for double: query i sees the keys before i + first_hidden.
attend::cuda::Functors<double> below(std::int64_t first_hidden);

}  // namespace functors
