#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "gpu/machine/launch.hpp"
#include "gpu/machine/mbarrier.hpp"
#include "gpu/machine/race_detector.hpp"
#include "gpu/machine/random.hpp"
#include "gpu/machine/warp.hpp"

namespace gpu {

struct LaunchState;

/// A thread block: its warps, shared memory and barriers.
class Block {
 public:
  Block(Worker& worker, std::uint64_t linear);

  /// Lets the warps run, in random order, for about `steps` instructions; true when the block has
  /// ended.
  bool run(std::uint64_t steps);
  /// The block seems to wait for another one: its turn ends sooner.
  void spend(std::uint64_t cost) { spent_ += cost; }
  /// The block goes on on another host thread.
  void move_to(Worker& worker);

  /// The current warp arrives at a barrier. `lanes`: of the running group.
  struct Arrival {
    std::uint32_t barrier;
    std::uint32_t threads;  ///< 0: all of the block
    bool aligned;
    bool waits;
    enum class Reduction : std::uint8_t { none, popc, all, any } reduction = Reduction::none;
  };
  void arrive(Warp& warp, const Instruction& in, const Arrival& arrival);
  void lanes_exited(Warp& warp);

  Dim3 index;
  std::uint64_t linear;
  Random random;
  std::size_t static_shared = 0;
  std::size_t shared_bytes = 0;      ///< static, gap and dynamic
  std::uint32_t dynamic_shared = 0;  ///< address
  std::vector<std::byte> shared;
  std::vector<std::byte> shared_defined;
  RaceDetector races;
  std::vector<std::unique_ptr<Warp>> warps;
  std::map<std::uint32_t, MBarrier> mbarriers;  ///< by offset in shared memory
  std::vector<Warpgroup> warpgroups;            ///< made when first used
  std::uint64_t steps = 0;
  std::uint64_t ticks = 0;  ///< looks at the clock
  bool yields = false;      ///< a warp waits for another block: let others run

 private:
  struct Waiting {
    Warp* warp;
    std::uint32_t lanes;
    const Instruction* in;
  };
  struct Barrier {
    std::uint32_t arrived = 0;  ///< threads
    std::uint32_t threads = 0;  ///< expected; 0: all
    std::uint32_t popc = 0;
    bool all = true, any = false;
    std::vector<Waiting> waiting;
    std::vector<std::uint32_t> arrived_warps;
    const Instruction* first = nullptr;
  };
  std::uint32_t alive_threads() const;
  void complete_if_full(std::uint32_t barrier);
  void report_deadlock();

  Worker* worker_;
  std::uint64_t spent_ = 0;
  std::array<Barrier, 16> barriers_;
};

}  // namespace gpu
