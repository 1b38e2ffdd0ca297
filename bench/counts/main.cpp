// attend_counts [N]: what each kernel costs for N queries and keys (256), as the emulated GPU
// counts it, with the least that the mathematics asks for beside it.
#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "gpu/runtime/control.hpp"

namespace {

using attend::Path;

constexpr std::int64_t kHeads = 2;

/// What the mathematics of a row asks for: warp instructions, bytes.
struct Floor {
  std::int64_t products;  ///< multiply-adds
  std::int64_t exponentials;
  std::int64_t bytes_read, bytes_written;
};

std::uint64_t count_of(const gpu::Counts& counts, const char* opcode) {
  const auto found = counts.by_opcode.find(opcode);
  return found == counts.by_opcode.end() ? 0 : found->second;
}

/// One line of the table, of all launches since the last.
void print_row(const std::string& name, const Floor& floor) {
  constexpr std::int64_t kWarp = 32, kTensorCoreProducts = 16 * 8 * 16;
  std::uint64_t products = 0, exponentials = 0, read = 0, written = 0, conflicts = 0, phases = 0,
                local = 0, instructions = 0;
  const auto launches = gpu::emulated_control()->take_launches();
  bool on_tensor_cores = false;
  std::uint64_t twice_products = 0;
  for (const gpu::LaunchRecord& launch : launches)
    on_tensor_cores = on_tensor_cores || count_of(launch.counts, "mma") > 0;
  for (const auto& [kernel, counts] : launches) {
    if (!on_tensor_cores) products += count_of(counts, "fma");
    for (const auto& [shape, executed] : counts.mma)  // of 16 x 8 x 8 two are one
      twice_products += executed * (shape.starts_with("m16n8k8.") ? 1 : 2);
    exponentials += count_of(counts, "ex2");
    read += counts.global_bytes_read, written += counts.global_bytes_written;
    conflicts += counts.shared_conflicts, phases += counts.shared_phases;
    local += counts.local_bytes;
    instructions += counts.instructions;
  }
  if (on_tensor_cores) products = twice_products / 2;
  const auto least = [](std::int64_t of, std::int64_t by) {
    return std::to_string((of + by - 1) / by);
  };
  std::printf("| %s | %zu | %s / %s %s | %s / %s | %s / %s | %s / %s | %s of %s | %s | %.2f |\n",
              name.c_str(), launches.size(), std::to_string(products).c_str(),
              least(floor.products, on_tensor_cores ? kTensorCoreProducts : kWarp).c_str(),
              on_tensor_cores ? "mma" : "fma", std::to_string(exponentials).c_str(),
              least(floor.exponentials, kWarp).c_str(), std::to_string(read).c_str(),
              std::to_string(floor.bytes_read).c_str(), std::to_string(written).c_str(),
              std::to_string(floor.bytes_written).c_str(), std::to_string(conflicts).c_str(),
              std::to_string(phases).c_str(), std::to_string(local).c_str(),
              double(instructions) * kWarp / double(floor.exponentials));
}

/// The rows of one path: plain, causal, with everything that a score can be changed by.
template <class T>
void rows(Path path, const char* type, std::int64_t n, std::int64_t d) {
  using Tensor = attend::cuda::Tensor<T, 4>;
  const auto filled = [&](std::int64_t rows) {
    attend::Tensor<T, 4> host(1, kHeads, rows, d);
    host.setRandom();
    return Tensor(host);
  };
  const Tensor q = filled(n), k = filled(n), v = filled(n), grad_out = filled(n);
  attend::Tensor<float, 4> host_bias(1, kHeads, n, n);
  host_bias.setZero();
  attend::Tensor<bool, 4> host_mask(1, 1, n, n);
  host_mask.setConstant(true);
  attend::Tensor<float, 1> host_slopes(kHeads);
  host_slopes.setConstant(0.5f);
  const attend::cuda::Tensor<float, 4> bias(host_bias);
  const attend::cuda::Tensor<float, 1> slopes(host_slopes);
  const attend::cuda::Tensor<bool, 4> mask(host_mask);
  const attend::Extents<4> extents{1, kHeads, n, d};
  const std::string name = std::string(attend::name(path)) + "/" + type + "/d" + std::to_string(d);
  constexpr std::int64_t kElement = sizeof(T), kReal = sizeof(float);

  struct Variant {
    const char* name;
    attend::Call<T> call;
    std::int64_t pairs;  ///< allowed, of a head
    std::int64_t bytes;  ///< read besides q, k and v
    double dropout = 0;
  };
  const std::int64_t all = n * n;
  const Variant variants[] = {{"", {}, all, 0},
                              {"/causal", {.causal = attend::Causal::top_left}, n * (n + 1) / 2, 0},
                              {"/mask", {.mask = mask}, all, all},
                              {"/bias", {.bias = bias}, all, kHeads * all * kReal},
                              {"/alibi", {.alibi = slopes}, all, kHeads * kReal},
                              {"/softcap", {.softcap = 20}, all, 0},
                              {"/dropout", {}, all, 0, 0.1}};
  for (const auto& [suffix, given, pairs, bytes, dropout] : variants) {
    const attend::Attend<T> attention{{.dropout = dropout, .flash = true}};
    attend::Call<T> call = given;
    call.path = path;
    Tensor out(extents);
    attend::cuda::Tensor<float, 3> lse(attend::Extents<3>{1, kHeads, n});
    const attend::cuda::Stream stream = attend::cuda::Stream::default_stream();
    stream.synchronize();
    gpu::emulated_control()->take_launches();
    const attend::Run run = attention.forward_into(out, lse, q, k, v, call);
    stream.synchronize();
    const std::int64_t tensor = kHeads * n * d * kElement, row = kHeads * n * kReal;
    print_row(name + suffix,
              {kHeads * pairs * 2 * d, kHeads * pairs, 3 * tensor + bytes, tensor + row});
    Tensor dq(extents), dk(extents), dv(extents);
    try {
      attention.backward_into({.dq = dq, .dk = dk, .dv = dv}, grad_out, {run, out, lse}, q, k, v,
                              call);
    } catch (const attend::unsupported_error&) {  // the path has no backward pass
      continue;
    }
    stream.synchronize();
    print_row(name + suffix + "/backward",
              {kHeads * pairs * 5 * d, kHeads * pairs, 5 * tensor + row + bytes, 3 * tensor});
  }
}

}  // namespace

int main(int count, char** arguments) {
  const std::int64_t n = count > 1 ? std::atoll(arguments[1]) : 256;
  if (n < 1 || gpu::emulated_control() == nullptr) {
    std::fputs("attend_counts [N]: N queries and keys; runs on the emulated GPU only\n", stderr);
    return 1;
  }
  std::printf(
      "Two heads of %lld queries and keys, capability 8.0. Counted / the least there is to do.\n\n"
      "| row | launches | products | exponentials | bytes read | bytes written | bank conflicts | "
      "local bytes | instructions per score |\n|---|---|---|---|---|---|---|---|---|\n",
      static_cast<long long>(n));
  for (const std::int64_t d : {32, 64, 128}) rows<Eigen::half>(Path::flash, "f16", n, d);
  // Of half types these are flash's kernels.
  for (const std::int64_t d : {64, 128}) rows<float>(Path::mem_efficient, "f32", n, d);
  rows<float>(Path::math, "f32", n, 64);
  return 0;
}
