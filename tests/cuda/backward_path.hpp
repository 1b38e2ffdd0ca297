// The device's backward passes as functions of a call on host memory, as the shared cases run them.
#pragma once

#include "cuda/device_path.hpp"

namespace device {

/// A path's backward pass through the seam.
template <class T>
auto backward_path(attend::Path path) {
  return [path](attend::Problem problem, attend::Variant<attend::RealOf<T>> variant,
                const attend::BackwardTensors<T>& tensors, const auto&) {
    using Element = attend::cuda::Stored<T>;
    problem.device = attend::Device::cuda;
    const Copy bias(variant.bias), alibi(variant.alibi), sink(variant.sink);
    const Copy mask(variant.mask);
    variant.bias = bias.view(), variant.alibi = alibi.view(), variant.sink = sink.view();
    variant.mask = mask.view();
    const Copy q(tensors.q), k(tensors.k), v(tensors.v), out(tensors.out), lse(tensors.lse),
        grad_out(tensors.grad_out), grad_lse(tensors.grad_lse);
    const Copy dq(tensors.dq), dk(tensors.dk), dv(tensors.dv), dbias(tensors.dbias),
        dsink(tensors.dsink);
    const auto read = [](const auto& copy) {
      return attend::cuda::stored<const Element>(copy.view());
    };
    const auto written = [](const auto& copy) {
      return attend::cuda::stored<Element>(copy.view());
    };
    attend::cuda::backward<Element>(path, problem, variant,
                                    {.q = read(q),
                                     .k = read(k),
                                     .v = read(v),
                                     .out = read(out),
                                     .lse = lse.view(),
                                     .grad_out = read(grad_out),
                                     .grad_lse = grad_lse.view(),
                                     .dq = written(dq),
                                     .dk = written(dk),
                                     .dv = written(dv),
                                     .dbias = dbias.view(),
                                     .dsink = dsink.view()},
                                    {.offsets = problem.batch, .key_lengths = problem.batch},
                                    nullptr);
    attend::cuda::check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    dq.fetch(), dk.fetch(), dv.fetch(), dbias.fetch(), dsink.fetch();
  };
}

}  // namespace device
