// attend_bench: compares the library's paths. Arguments are Google Benchmark's, and
//   --threads=N   threads of every call (all, if not given)
//   --serve       takes commands from stdin instead (serve.hpp)
#include <benchmark/benchmark.h>

#include <attend/cpu/workers.hpp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "computation.hpp"
#include "measurement.hpp"
#include "row.hpp"
#include "serve.hpp"
#include "table.hpp"
#include "version.hpp"

namespace {

void measure(benchmark::State& state, bench::Laboratory& laboratory, const bench::Row& row,
             attend::Path path) {
  const bench::Facts& facts = laboratory.facts(row, path);
  for (auto _ : state) laboratory.run(path);
  using benchmark::Counter;
  state.counters[bench::counter::kWork] = Counter(facts.work, Counter::kIsIterationInvariantRate);
  state.counters[bench::counter::kPeak] = facts.peak;
  state.counters[bench::counter::kExtraBytes] = static_cast<double>(facts.extra_bytes);
  state.counters[bench::counter::kDifference] = facts.difference;
  state.counters[bench::counter::kRecorded] = facts.recorded_difference;
  state.counters[bench::counter::kTolerance] = facts.tolerance;
  state.SetLabel(name(facts.chosen));
}

// Counts what it registers; `laboratory` is filled when the first one runs.
std::size_t register_rows(const std::vector<bench::Row>& rows,
                          std::unique_ptr<bench::Laboratory>& laboratory) {
  std::size_t count = 0;
  for (const bench::Row& row : rows) {
    for (const attend::Path path : bench::kPaths) {
      benchmark::RegisterBenchmark((row.name + "/" + name(path)).c_str(),
                                   [&row, &laboratory, path](benchmark::State& state) {
                                     measure(state, *laboratory, row, path);
                                   })
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
      ++count;
    }
  }
  return count;
}

// What the machine can do, for the table's head and the JSON file.
std::string describe(const std::vector<bench::Peak>& peaks) {
  std::string text = bench::processor() + ", " + std::to_string(attend::threads()) + " threads; " +
                     bench::engine() + " engine; attend " + bench::version() + "\n\nPeaks:";
  for (const bench::Peak& peak : peaks) {
    const std::string rate = std::to_string(static_cast<int>(peak.flops / 1e9)) + " GFLOP/s";
    const std::string what = peak.instructions + " " + name(peak.dtype);
    text += " " + what + " " + rate + ";";
    benchmark::AddCustomContext("peak " + what, rate);
  }
  benchmark::AddCustomContext("processor", bench::processor());
  benchmark::AddCustomContext("attend", bench::version());
  benchmark::AddCustomContext("threads", std::to_string(attend::threads()));
  benchmark::AddCustomContext("engine", bench::engine());
  return text + " decoding is held against a loop that only reads as many bytes.\n";
}

bool is_given(int argc, char** argv, std::string_view name) {
  for (int n = 1; n < argc; ++n)
    if (std::string_view(argv[n]).substr(0, name.size()) == name) return true;
  return false;
}

// The arguments for Google Benchmark: ours taken out, our default of its own put in front.
std::vector<char*> benchmark_arguments(int argc, char** argv) {
  static char seconds_each[] = "--benchmark_min_time=0.1";
  constexpr std::string_view kThreads = "--threads=";
  std::vector<char*> kept{argv[0], seconds_each};
  for (int n = 1; n < argc; ++n) {
    if (std::string_view(argv[n]).substr(0, kThreads.size()) == kThreads) {
      attend::set_threads(std::atoi(argv[n] + kThreads.size()));
    } else {
      kept.push_back(argv[n]);
    }
  }
  return kept;
}

}  // namespace

int main(int argc, char** argv) {
  if (is_given(argc, argv, "--serve")) return bench::serve();
  const bool list = is_given(argc, argv, "--benchmark_list_tests");
  const bool other_format = is_given(argc, argv, "--benchmark_format");
  const bool filtered = is_given(argc, argv, "--benchmark_filter");
  std::vector<char*> arguments = benchmark_arguments(argc, argv);
  int count_left = static_cast<int>(arguments.size());
  benchmark::Initialize(&count_left, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count_left, arguments.data())) return 2;

  const std::vector<bench::Row> rows = bench::all_rows();
  std::unique_ptr<bench::Laboratory> laboratory;
  const std::size_t count = register_rows(rows, laboratory);
  if (list || other_format) {
    if (!list) laboratory = std::make_unique<bench::Laboratory>(attend::threads());
    benchmark::RunSpecifiedBenchmarks();
    return 0;
  }
  laboratory = std::make_unique<bench::Laboratory>(attend::threads());
  bench::Table table(describe(laboratory->peaks()), filtered ? 0 : count);
  benchmark::RunSpecifiedBenchmarks(&table);
  return table.wrong() ? 1 : 0;
}
