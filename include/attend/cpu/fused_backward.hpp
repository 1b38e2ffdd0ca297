#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "../core/backward_tensors.hpp"
#include "engine/gradient_engines.hpp"
#include "fused_gradient_chunk.hpp"
#include "parameter_gradients.hpp"
#include "workers.hpp"

/// @file
/// The fused path's gradients (Dao et al., "FlashAttention", 2022, algorithm 4): scores are
/// computed anew, tile by tile, so that memory is linear in the sequence; parallel over batch,
/// heads and keys.

namespace attend::cpu {

/// Sums what the chunks gave to q's gradient, in order, and writes a panel's rows.
template <class T>
void write_dq_panel(const FusedGradientCall<T>& call, std::int64_t b, std::int64_t h,
                    std::int64_t panel) {
  using Real = RealOf<T>;
  const Problem& problem = call.problem;
  const FusedGradientPlan& plan = call.plan;
  const std::int64_t first = panel * plan.panel_rows;
  const std::int64_t size = plan.panel_rows * problem.head_dim;
  Real* const sum = call.dq_of(0, b, h) + first * problem.head_dim;
  for (std::int64_t chunk = 1; chunk < plan.chunks; ++chunk) {
    const Real* const part = call.dq_of(chunk, b, h) + first * problem.head_dim;
    for (std::int64_t n = 0; n < size; ++n) sum[n] += part[n];
  }
  const View<T, 4>& dq = call.tensors.dq;
  const auto lanes = static_cast<std::size_t>(plan.panel_rows);
  const std::vector<Real> ones(lanes, Real{1});
  std::vector<Real> check(lanes);
  std::vector<T*> rows;
  for (std::int64_t i = first; i < std::min(first + plan.panel_rows, problem.len_q); ++i)
    rows.push_back(dq.address(b, h, i));
  const Panel<Real> of_panel{plan.panel_vectors, nullptr,         sum, nullptr, nullptr,
                             problem.head_dim,   problem.head_dim};
  call.kernels.store(of_panel, ones.data(),
                     {rows.data(), dq.stride(3), static_cast<int>(rows.size()), problem.head_dim},
                     check.data());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (check[r] == 0 || !call.excludes()) continue;
    const std::vector<Real> exact =
        call.hooks.dq_row(call.hooks.call, {b, h, first + static_cast<std::int64_t>(r), 0});
    for (std::size_t c = 0; c < exact.size(); ++c)
      rows[r][static_cast<std::int64_t>(c) * dq.stride(3)] = static_cast<T>(exact[c]);
  }
}

/// Whether there is a row whose maximum and sum have to be taken anew.
template <class T>
bool has_distrusted(const FusedGradientCall<T>& call) {
  const Problem& problem = call.problem;
  for (std::int64_t b = 0; b < problem.batch; ++b)
    for (std::int64_t h = 0; h < problem.heads; ++h)
      for (std::int64_t i = 0; i < problem.len_q; ++i)
        if (call.is_distrusted(b, h, i)) return true;
  return false;
}

/// Gradients of q, k and v, without the user's functions' types: compiled once per element type.
template <class T>
void run_fused_backward(const Problem& problem, const Variant<RealOf<T>>& variant,
                        const FusedGradientHooks<T>& hooks, const BackwardTensors<T>& tensors,
                        const QueryStates<RealOf<T>>& states, const Workers& workers) {
  using Real = RealOf<T>;
  const GradientKernels<T>& kernels = gradient_kernels_of<T>(EngineOverride::engine());
  const FusedGradientPlan plan = plan_fused_gradient(problem, kernels.tuning);
  const std::int64_t items = problem.batch * problem.heads_kv * plan.chunks;
  if (items == 0) return;

  const std::unique_ptr<Real[]> dq(new Real[static_cast<std::size_t>(
      plan.chunks * problem.batch * problem.heads * plan.padded_rows() * problem.head_dim)]);
  FusedGradientCall<T> call{problem, variant, hooks,    tensors, states,
                            kernels, plan,    dq.get(), nullptr};
  // Each made by the thread that uses it, as in a forward pass.
  std::vector<std::unique_ptr<FusedGradientScratch<T>>> scratch(
      static_cast<std::size_t>(workers.size()));
  const auto worker = [&](int slot) {
    std::unique_ptr<FusedGradientScratch<T>>& own = scratch[static_cast<std::size_t>(slot)];
    if (!own) own = std::make_unique<FusedGradientScratch<T>>(problem, plan);
    return FusedGradientChunk<T>(call, *own);
  };
  std::vector<SoftmaxState<Real>> measured;
  if (has_distrusted(call)) {
    measured.resize(static_cast<std::size_t>(problem.batch * problem.heads * problem.len_q));
    call.measured = measured.data();
    workers.for_each(problem.batch * problem.heads, [&](std::int64_t head, int slot) {
      worker(slot).measure(head / problem.heads, head % problem.heads);
    });
  }
  workers.for_each(items, [&](std::int64_t index, int slot) {
    const std::int64_t head = index / plan.chunks;
    worker(slot).run(head / problem.heads_kv, head % problem.heads_kv, index % plan.chunks);
  });
  workers.for_each(problem.batch * problem.heads, [&](std::int64_t head, int) {
    for (std::int64_t panel = 0; panel < plan.panels; ++panel)
      write_dq_panel(call, head / problem.heads, head % problem.heads, panel);
  });
}

/// Gradients of one call by the fused path. Everything has been validated.
template <class T, class V>
void fused_backward(const Problem& problem, const V& variant, const BackwardTensors<T>& tensors,
                    const Workers& workers) {
  const QueryStates<RealOf<T>> states(problem, variant, tensors, workers);
  const BackwardCall<T, V> call{problem, variant, tensors, states};
  run_fused_backward<T>(problem, variant.without_functions(), fused_gradient_hooks(call), tensors,
                        states, workers);
  parameter_gradients(call, workers);
}

}  // namespace attend::cpu
