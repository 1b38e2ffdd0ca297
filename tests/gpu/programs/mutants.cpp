#include "mutants.hpp"

#include <regex>
#include <sstream>

namespace programs {

std::string address_of(const std::string& instruction) {
  return "(" + instruction + "[^\\]]*?)(\\+-?\\d+)?\\]";
}

std::string mutated(const std::string& ptx, const Mutant& mutant) {
  const std::regex pattern(mutant.instruction);
  std::istringstream lines(ptx);
  std::string result, line;
  bool inside = false, changed = false;
  int found = 0;
  while (std::getline(lines, line)) {
    if (line.find(".entry") != std::string::npos) {
      inside = line.find(mutant.kernel.name) != std::string::npos;
    }
    if (inside && std::regex_search(line, pattern) &&
        (found++ == mutant.which || mutant.which == kEvery)) {
      line =
          mutant.replacement.empty() ? "" : std::regex_replace(line, pattern, mutant.replacement);
      changed = true;
    }
    result += line + "\n";
  }
  return changed ? result : "";
}

const std::vector<Mutant>& all_mutants() {
  static const std::vector<Mutant> mutants = [] {
    std::vector<Mutant> list = simt_mutants();
    for (const auto& more : {mma_mutants(), wgmma_mutants()})
      list.insert(list.end(), more.begin(), more.end());
    return list;
  }();
  return mutants;
}

}  // namespace programs
