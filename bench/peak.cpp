#include "peak.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "inputs.hpp"
#include "loops.hpp"

namespace bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Calls `body(thread)` on so many threads at once; seconds from when all are ready until all are
// done.
double seconds_on(int threads, const std::function<void(int)>& body) {
  std::atomic<int> waiting{threads};
  const auto at_once = [&](int thread) {
    waiting.fetch_sub(1);
    while (waiting.load() > 0) {
    }
    body(thread);
  };
  std::vector<std::thread> others;
  for (int thread = 1; thread < threads; ++thread) others.emplace_back(at_once, thread);
  while (waiting.load() > 1) {
  }
  const Clock::time_point start = Clock::now();
  at_once(0);
  for (std::thread& other : others) other.join();
  return seconds_since(start);
}

constexpr int kRepetitions = 5;
constexpr double kSecondsEach = 0.02;

double flops_of(const ComputeLoop& loop, int threads) {
  std::int64_t rounds = 1000;
  for (double once = 0; once < kSecondsEach / 4; rounds *= 2)
    once = seconds_on(1, [&](int) { loop.run(rounds); });
  double best = 0;
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    const double seconds = seconds_on(threads, [&](int) { loop.run(rounds); });
    best = std::max(best, static_cast<double>(rounds) * loop.flops_per_round * threads / seconds);
  }
  return best;
}

std::string field(const std::string& text, const std::string& key) {
  const std::size_t at = text.find("\n" + key + "\t");
  if (at == std::string::npos) return "";
  const std::size_t begin = text.find(": ", at) + 2;
  return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace

std::vector<Peak> measure_peaks(int threads) {
  std::vector<Peak> peaks;
  for (const ComputeLoop& loop : compute_loops())
    peaks.push_back({loop.instructions, loop.dtype, flops_of(loop, threads)});
  return peaks;
}

Peak best_peak(const std::vector<Peak>& peaks, attend::Dtype dtype) {
  Peak best{};
  for (const Peak& peak : peaks)
    if ((peak.dtype == dtype ||
         (peak.dtype == attend::Dtype::f32 && dtype != attend::Dtype::f64)) &&
        peak.flops > best.flops)
      best = peak;
  return best;
}

double read_bandwidth(std::int64_t bytes, int threads) {
  const std::int64_t share = bytes / threads / 1024 * 1024;
  if (share == 0) return 0;
  static std::map<std::pair<std::int64_t, int>, double> known;
  double& best = known[{share, threads}];
  if (best > 0) return best;

  const Buffer<char> data(static_cast<std::size_t>(share * threads), 1);
  const auto passes = std::max<std::int64_t>(1, (std::int64_t{64} << 20) / bytes);
  for (int repetition = 0; repetition < 2 * kRepetitions; ++repetition) {
    const double seconds = seconds_on(threads, [&](int thread) {
      for (std::int64_t pass = 0; pass < passes; ++pass)
        read_all(data.data() + thread * share, share);
    });
    best = std::max(best, static_cast<double>(passes * share * threads) / seconds);
  }
  return best;
}

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  const std::string text = "\n" + std::string(std::istreambuf_iterator<char>(file), {});
  const std::string model = field(text, "model name");
  if (model.empty()) return "unknown processor";
  return model + " family " + field(text, "cpu family") + " model " + field(text, "model");
}

}  // namespace bench
