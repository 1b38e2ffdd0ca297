#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gpu {

/// A bulk copy on its way to shared memory.
struct BulkCopy {
  std::uint32_t warp;  ///< of the thread that started it
  std::uint32_t lane;
  std::uint32_t site;
  std::uint32_t offset;
  std::vector<std::byte> data;
  std::vector<std::byte> defined;
};

/// A thread's arrival when its first `copies` copies (cp.async) have ended.
struct CopyArrival {
  std::uint32_t warp;
  std::uint32_t lane;
  std::uint64_t copies;
};

/// An mbarrier object in shared memory. Its phase ends when all arrivals and all bytes that it
/// expects have come.
struct MBarrier {
  std::uint32_t count = 0;    ///< arrivals per phase
  std::uint32_t pending = 0;  ///< that are missing
  std::int64_t bytes = 0;    ///< that are missing; less than 0: they came before they were expected
  std::uint64_t phase = 0;   ///< phases that have ended
  std::uint32_t thread = 0;  ///< that initialised it
  bool is_fenced = false;    ///< and made that visible to the asynchronous proxy
  bool asked = false;        ///< a wait has failed since the last copy landed
  std::vector<BulkCopy> copies;
  std::vector<CopyArrival> arrivals;   ///< to come
  std::vector<std::uint32_t> arrived;  ///< what those that arrived knew (RaceDetector::publish)
  std::vector<std::uint32_t> known;    ///< the same of the last phase that ended

  bool tracks_copies() const { return !copies.empty() || !arrivals.empty(); }
};

}  // namespace gpu
