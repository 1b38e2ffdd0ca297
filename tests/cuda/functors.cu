// What a user's own .cu file looks like.
#include <attend/attend.hpp>
#include <attend/cuda.cuh>
#include <attend/cuda.hpp>

#include "functors.hpp"

namespace functors {
namespace {

struct ChangesScores {
  Score of;

  template <class Number>
  __host__ __device__ Number operator()(Number s, attend::Index at) const {
    switch (of.kind) {
      case Score::Kind::softcap:
        return of.cap * tanh(s / of.cap);
      case Score::Kind::clamp:  // makes a number of NaN
        return s > -of.cap ? (s < of.cap ? s : Number(of.cap)) : Number(-of.cap);
      case Score::Kind::alibi:
        return s - of.slopes(at.h) * fabsf(static_cast<float>(at.i + 30 - at.j));
      case Score::Kind::relative:
        return relative()(s, at);
      case Score::Kind::pairs:
        return s + of.table(at.i, at.j);
      default:
        return s;
    }
  }
  __host__ __device__ std::int64_t parameters() const {
    return of.kind == Score::Kind::relative ? relative().parameters() : 0;
  }
  template <class Number, class Add>
  __host__ __device__ void scatter(Number s, Number gradient, attend::Index at,
                                   const Add& add) const {
    relative().scatter(s, gradient, at, add);
  }

 private:
  __host__ __device__ attend::RelativePositionBias<float> relative() const { return {of.table}; }
};

struct ExcludesKeys {
  Mask of;

  __host__ __device__ bool operator()(attend::Index at) const {
    switch (of.kind) {
      case Mask::Kind::causal:
        return at.j <= at.i + 30;
      case Mask::Kind::documents:
        return documents()(at);
      case Mask::Kind::prefix:
        return prefix()(at);
      default:
        return true;
    }
  }
  __host__ __device__ attend::Coverage coverage(const attend::IndexBlock& block) const {
    switch (of.kind) {
      case Mask::Kind::documents:
        return documents().coverage(block);
      case Mask::Kind::prefix:
        return prefix().coverage(block);
      default:
        return attend::Coverage::some;
    }
  }

 private:
  __host__ __device__ attend::DocumentMask<std::int32_t> documents() const {
    return {of.ids_q, of.ids_k, of.ascending};
  }
  __host__ __device__ attend::PrefixLm prefix() const { return {of.lengths}; }
};

}  // namespace

attend::cuda::Functors<float> chosen(const Score& score, const Mask& mask) {
  return attend::cuda::functors<float>(attend::mask_mod(ExcludesKeys{mask}),
                                       attend::score_mod(ChangesScores{score}));
}

attend::cuda::Functors<attend::F16> softcap_in_documents(
    float cap, const attend::cuda::View<const std::int32_t, 2>& ids) {
  const auto score =
      attend::score_mod([=] __device__(auto s, attend::Index) { return cap * tanh(s / cap); });
  return attend::cuda::functors<attend::F16>(
      score, attend::document_mask(ids, attend::DocumentOrder::ascending));
}

attend::cuda::Functors<double> below(std::int64_t first_hidden) {
  return attend::cuda::functors<double>(attend::mask_mod(
      [=] __host__ __device__(attend::Index at) { return at.j < at.i + first_hidden; }));
}

}  // namespace functors
