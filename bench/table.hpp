// Progress while the rows run, and one table of them all at the end.
#pragma once

#include <benchmark/benchmark.h>

#include <cstddef>
#include <string>
#include <vector>

namespace bench {

/// Counters by which a benchmark hands its facts to the reporters, the JSON file's and ours.
namespace counter {
inline constexpr char kWork[] = "work_per_second";  ///< FLOP/s; decoding: B/s
inline constexpr char kPeak[] = "peak_per_second";
inline constexpr char kExtraBytes[] = "extra_bytes";
inline constexpr char kDifference[] = "difference";
inline constexpr char kRecorded[] = "recorded_difference";
inline constexpr char kTolerance[] = "tolerance";
}  // namespace counter

/// Prints a line per benchmark to stderr as it ends, and the table (Markdown) to stdout at last.
class Table : public benchmark::BenchmarkReporter {
 public:
  /// `heading` goes above the table; `total` is the number of benchmarks to come, 0 if unknown.
  Table(std::string heading, std::size_t total) : heading_(std::move(heading)), total_(total) {}

  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override;
  void Finalize() override;

  /// Whether some output was NaN or further from another than can be right.
  bool wrong() const { return wrong_; }

 private:
  struct Line {
    std::string row, path, chosen;
    double seconds, work, peak, extra_bytes, difference, recorded, tolerance;

    bool wrong() const;
  };

  std::vector<std::string> cells(const Line& line, double math_seconds) const;

  std::string heading_;
  std::size_t total_, done_ = 0;
  std::vector<Line> lines_;
  bool wrong_ = false;
};

}  // namespace bench
