#include "table.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>

namespace bench {
namespace {

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string time_text(double seconds) {
  if (seconds < 1e-3) return format("%.1f us", seconds * 1e6);
  return format(seconds < 0.1 ? "%.2f ms" : "%.0f ms", seconds * 1e3);
}

std::string memory_text(double bytes) {
  if (bytes < 0) return "?";
  return bytes < 1e6 ? format("%.1f kB", bytes / 1e3) : format("%.1f MB", bytes / 1e6);
}

std::string rate_text(double rate, bool bytes) {
  return format(rate < 10e9 ? "%.2f " : "%.1f ", rate / 1e9) + (bytes ? "GB/s" : "GFLOP/s");
}

std::string difference_text(double difference) {
  return difference < 0 ? "" : format("%.1e", difference);
}

std::string group_of(const std::string& row) { return row.substr(0, row.find('/')); }

const std::vector<std::string> kTitles = {"row",           "path",   "time",   "speed",
                                          "of peak",       "x math", "memory", "from math",
                                          "from recorded", "chosen"};

void print(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> width(kTitles.size());
  for (const auto& row : rows)
    for (std::size_t n = 0; n < row.size(); ++n) width[n] = std::max(width[n], row[n].size());
  const auto is_text = [](std::size_t n) { return n < 2 || n + 1 == kTitles.size(); };
  for (const auto& row : rows) {
    std::string line = "|";
    for (std::size_t n = 0; n < row.size(); ++n) {
      const std::string gap(width[n] - row[n].size(), ' ');
      line += " " + (is_text(n) ? row[n] + gap : gap + row[n]) + " |";
    }
    std::printf("%s\n", line.c_str());
    if (&row != &rows.front()) continue;
    line = "|";
    for (std::size_t n = 0; n < row.size(); ++n)
      line += (is_text(n) ? ":" : "-") + std::string(width[n], '-') + (is_text(n) ? "-|" : ":|");
    std::printf("%s\n", line.c_str());
  }
}

}  // namespace

// A NaN is not within any tolerance.
bool Table::Line::wrong() const { return !(difference <= tolerance) || !(recorded <= tolerance); }

void Table::ReportRuns(const std::vector<Run>& runs) {
  std::vector<double> seconds;
  const Run* last = nullptr;
  for (const Run& run : runs) {
    if (run.run_type != Run::RT_Iteration || run.counters.count(counter::kWork) == 0) continue;
    last = &run;
    seconds.push_back(run.real_accumulated_time / static_cast<double>(run.iterations));
  }
  if (last == nullptr) return;
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];

  const std::string name = last->run_name.function_name;
  const std::size_t slash = name.rfind('/');
  const auto value = [&](const char* key) { return last->counters.at(key).value; };
  // Rates are the last repetition's; the table shows the median one's.
  const double work = value(counter::kWork) * last->real_accumulated_time /
                      static_cast<double>(last->iterations) / median;
  lines_.push_back({.row = name.substr(0, slash),
                    .path = name.substr(slash + 1),
                    .chosen = last->report_label,
                    .seconds = median,
                    .work = work,
                    .peak = value(counter::kPeak),
                    .extra_bytes = value(counter::kExtraBytes),
                    .difference = value(counter::kDifference),
                    .recorded = value(counter::kRecorded),
                    .tolerance = value(counter::kTolerance)});
  ++done_;
  std::fprintf(stderr, "%3zu%s %-36s %s\n", done_,
               total_ > 0 ? ("/" + std::to_string(total_)).c_str() : "", name.c_str(),
               time_text(median).c_str());
}

std::vector<std::string> Table::cells(const Line& line, double math_seconds) const {
  const bool bytes = group_of(line.row) == "decode";
  return {line.row,
          line.path,
          time_text(line.seconds),
          rate_text(line.work, bytes),
          format("%.0f%%", 100 * line.work / line.peak),
          math_seconds > 0 ? format("%.2f", math_seconds / line.seconds) : "",
          memory_text(line.extra_bytes),
          line.path == "math" ? "" : difference_text(line.difference),
          difference_text(line.recorded),
          line.chosen + (line.wrong() ? " WRONG" : "")};
}

void Table::Finalize() {
  if (lines_.empty()) return;
  std::map<std::string, double> math_seconds;
  for (const Line& line : lines_)
    if (line.path == "math") math_seconds[line.row] = line.seconds;

  std::vector<std::vector<std::string>> rows{kTitles};
  for (const Line& line : lines_) {
    rows.push_back(cells(line, math_seconds[line.row]));
    wrong_ = wrong_ || line.wrong();
  }
  std::printf("%s\n", heading_.c_str());
  print(rows);
  if (wrong_) std::printf("\nWRONG: a result is NaN or too far from the others.\n");
}

}  // namespace bench
