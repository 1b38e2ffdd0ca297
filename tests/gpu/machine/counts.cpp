#include "gpu/machine/counts.hpp"

#include <algorithm>
#include <cstdio>

#include "gpu/machine/worker.hpp"
#include "gpu/program/program.hpp"

namespace gpu {
namespace {

std::string first_word(const std::string& opcode) { return opcode.substr(0, opcode.find('.')); }

/// "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32" -> "m16n8k16.f32.f16.f16.f32"
std::string mma_name(const std::string& opcode) {
  std::string name;
  for (std::size_t at = 0; at != std::string::npos;) {
    const std::size_t dot = opcode.find('.', at);
    const std::string word = opcode.substr(at, dot == std::string::npos ? dot : dot - at);
    const bool skipped = word == "mma" || word == "wgmma" || word == "mma_async" ||
                         word == "sync" || word == "aligned" || word == "row" || word == "col";
    if (!skipped) name += (name.empty() ? "" : ".") + word;
    at = dot == std::string::npos ? dot : dot + 1;
  }
  return name;
}

void add(Counts& counts, const Site& site, const SiteTally& t) {
  counts.instructions += t.executed;
  const std::string word = first_word(site.opcode);
  counts.by_opcode[word] += t.executed;
  const bool is_product = site.opcode.starts_with("wgmma.mma_async");
  if (word == "mma" || is_product) counts.mma[mma_name(site.opcode)] += t.executed;
  if (word == "bar" || word == "barrier") {
    if (site.opcode.find("warp") == std::string::npos) counts.barriers += t.executed;
  }
  counts.global_bytes_read += t.read_bytes;
  counts.global_bytes_written += t.written_bytes;
  counts.global_sectors_read += t.read_sectors;
  counts.global_sectors_written += t.written_sectors;
  counts.shared_phases += t.phases;
  counts.shared_conflicts += t.conflicts;
  counts.local_bytes += t.local_bytes;
  counts.product_bytes += t.product_bytes;
  SiteCounts out;
  out.instruction = site.text;
  out.opcode = site.opcode;
  out.file = site.file;
  out.line = site.line;
  out.ptx_line = site.ptx_line;
  out.executed = t.executed;
  out.lanes = t.lanes;
  out.global_bytes = t.read_bytes + t.written_bytes;
  out.global_sectors = t.read_sectors + t.written_sectors;
  out.shared_phases = t.phases;
  out.shared_conflicts = t.conflicts;
  out.local_bytes = t.local_bytes;
  out.product_bytes = t.product_bytes;
  counts.sites.push_back(std::move(out));
}

}  // namespace

SiteTally& SiteTally::operator+=(const SiteTally& other) {
  executed += other.executed;
  lanes += other.lanes;
  read_bytes += other.read_bytes;
  written_bytes += other.written_bytes;
  read_sectors += other.read_sectors;
  written_sectors += other.written_sectors;
  phases += other.phases;
  conflicts += other.conflicts;
  local_bytes += other.local_bytes;
  product_bytes += other.product_bytes;
  return *this;
}

Counts collect(const Module::Program& program,
               const std::vector<std::unique_ptr<Worker>>& workers) {
  Counts counts;
  for (const auto& function : program.functions) {
    const auto index = static_cast<std::size_t>(function->index);
    const auto has_run = [&](const auto& worker) { return !worker->tallies[index].empty(); };
    if (std::none_of(workers.begin(), workers.end(), has_run)) continue;
    for (std::size_t i = 0; i < function->code.size(); ++i) {
      SiteTally sum;
      for (const auto& worker : workers) {
        if (worker->tallies[index].empty()) continue;
        sum += worker->tallies[index][i];
      }
      if (sum.executed != 0) add(counts, function->sites[i], sum);
    }
  }
  for (const auto& worker : workers) counts.warps += worker->warps;
  return counts;
}

std::string Counts::table() const {
  std::string out;
  const auto row = [&out](const std::string& name, std::uint64_t value) {
    char text[160];
    std::snprintf(text, sizeof text, "  %-44s %16llu\n", name.c_str(),
                  static_cast<unsigned long long>(value));
    out += text;
  };
  row("blocks", blocks);
  row("warps", warps);
  row("warp instructions", instructions);
  row("barriers (by warp)", barriers);
  row("global bytes read", global_bytes_read);
  row("global bytes written", global_bytes_written);
  row("global sectors (32 bytes) read", global_sectors_read);
  row("global sectors (32 bytes) written", global_sectors_written);
  row("shared memory passes", shared_phases);
  row("  of them for bank conflicts", shared_conflicts);
  row("local memory bytes", local_bytes);
  row("shared memory bytes read by wgmma", product_bytes);
  for (const auto& [shape, executed] : mma) row("mma " + shape, executed);
  std::vector<std::pair<std::string, std::uint64_t>> words(by_opcode.begin(), by_opcode.end());
  std::stable_sort(words.begin(), words.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  for (const auto& [word, executed] : words) row(word, executed);
  return out;
}

}  // namespace gpu
