// What is known of one row and path beside its time.
#pragma once

#include <attend/select/path.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "computation.hpp"
#include "peak.hpp"
#include "row.hpp"

namespace bench {

/// The paths that are compared.
inline constexpr attend::Path kPaths[] = {attend::Path::math, attend::Path::fused};

/// Beside the time.
struct Facts {
  double work;               ///< useful floating-point operations; decoding: bytes read and written
  double peak;               ///< of the machine, the same per second
  std::int64_t extra_bytes;  ///< most that was allocated during a call; -1: unknown
  double difference;         ///< greatest from the math path's output
  double recorded_difference;  ///< greatest from the recorded output; -1: none is recorded
  double tolerance;            ///< for both differences
  attend::Path chosen;         ///< what the library takes by itself
};

/// The greatest |a - b|; NaN if either has one where the other has not, or the sizes differ.
double greatest_difference(const std::vector<float>& a, const std::vector<float>& b);

/// Keeps the tensors of the row that is measured now, and no other row's.
class Laboratory {
 public:
  explicit Laboratory(int threads);

  /// Makes the row's tensors and finds its facts, unless that is what was asked last.
  const Facts& facts(const Row& row, attend::Path path);
  /// One call on the row that `facts` was last asked for.
  void run(attend::Path path) { computation_->run(path); }
  const std::vector<Peak>& peaks() const { return peaks_; }

 private:
  void enter(const Row& row);

  int threads_;
  std::vector<Peak> peaks_;
  std::string row_;
  std::unique_ptr<Computation> computation_;
  std::vector<float> reference_, recorded_;
  double work_ = 0, peak_ = 0;
  std::int64_t reference_bytes_ = 0;
  std::map<attend::Path, Facts> facts_;
};

}  // namespace bench
