#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gpu/machine/frame.hpp"
#include "gpu/machine/products.hpp"
#include "gpu/machine/random.hpp"
#include "gpu/machine/report.hpp"
#include "gpu/program/function.hpp"
#include "gpu/program/program.hpp"

namespace gpu {

class Block;
class Worker;
struct SiteTally;

/// Bytes of asynchronous copies that a lane has issued: one 16-, 8- or 4-byte piece.
struct PendingCopy {
  std::uint32_t lane;
  std::uint32_t offset;  ///< in shared memory
  std::uint32_t bytes;
  std::uint32_t site;
  bool landed;
  std::array<std::byte, 16> data;
  std::array<std::byte, 16> defined;
};

/// Copies that are committed together.
struct CopyGroup {
  std::vector<PendingCopy> copies;  ///< that have not ended
  bool arrived = false;             ///< others of them have: an mbarrier has tracked them
};

/// The asynchronous copies of a lane: those not committed yet, and committed groups, oldest first.
/// They end in the order in which they began.
struct CopyQueue {
  CopyGroup open;
  std::vector<CopyGroup> groups;
  std::uint64_t begun = 0;
  std::uint64_t ended = 0;
  std::uint64_t tracked = 0;  ///< by mbarriers, the oldest
};

/// What a group of lanes waits for.
enum class Wait : std::uint8_t {
  none,
  gather,     ///< the other lanes that the instruction at its pc names
  barrier,    ///< a barrier of the block, or of the cluster
  warpgroup,  ///< the other warps of its warpgroup
};

/// Lanes of a warp that are at the same place of the same frame.
struct Group {
  Frame* frame = nullptr;
  std::uint32_t pc = 0;
  std::uint32_t lanes = 0;
  Wait wait = Wait::none;
  std::uint32_t named = 0;  ///< lanes it waits for (gather)
};

/// The 32 lanes that execute together. Groups with the deepest frame, then the lowest pc, run
/// first, so that lanes that went different ways meet again.
class Warp {
 public:
  Warp(Worker& worker, Block& block, std::uint32_t index, const Function& function);
  ~Warp();
  Warp(const Warp&) = delete;
  Warp& operator=(const Warp&) = delete;

  /// Executes up to `steps` instructions; returns how many. Stops early when no group can run.
  std::uint64_t run(std::uint64_t steps);
  bool runnable() const;
  bool finished() const { return alive == 0; }

  Worker& worker() const { return *worker_; }
  void move_to(Worker& worker);

  // What instructions use. `active` are the lanes that execute the current one.
  Block& block;
  std::uint32_t index;        ///< within the block
  std::uint32_t members = 0;  ///< lanes that belong to the block
  std::uint32_t alive = 0;    ///< members that have not exited
  std::uint32_t active = 0;
  Frame* frame = nullptr;
  std::uint32_t pc = 0;              ///< of the next instruction
  std::uint32_t group_lanes = 0;     ///< the running group's lanes; `active` is a part of them
  std::array<CopyQueue, 32> copies;  ///< asynchronous copies by lane
  ProductQueue products;             ///< of its warpgroup
  std::vector<HeldRegister> held;    ///< by unit of the kernel's frame; empty without products
  std::uint32_t fences = 0;          ///< wgmma.fence
  std::uint32_t limits = 0;          ///< setmaxnreg

  std::uint32_t* words(Ref r) { return values_[r.bank] + std::size_t{r.unit} * 32; }
  std::uint64_t* quads(Ref r) {
    return reinterpret_cast<std::uint64_t*>(values_[r.bank] + std::size_t{r.unit} * 32);
  }
  /// A lane's value of a source of any width.
  std::uint64_t value(Ref r, std::uint32_t lane) {
    return r.wide ? quads(r)[lane] : words(r)[lane];
  }
  void set_value(Ref r, std::uint32_t lane, std::uint64_t v) {
    if (r.wide) {
      quads(r)[lane] = v;
    } else {
      words(r)[lane] = static_cast<std::uint32_t>(v);
    }
  }
  std::uint32_t predicate(Ref r) { return r.negated ? ~*words(r) : *words(r); }
  void set_predicate(Ref r, std::uint32_t lanes) {
    std::uint32_t& bits = *words(r);
    bits = (bits & ~active) | (lanes & active);
  }

  /// Lanes whose value of `r` has an undefined bit.
  std::uint32_t undefined(Ref r) const {
    return r.bank == Ref::constants ? 0 : undefined_lanes_[r.unit];
  }
  std::uint32_t* undefined_words(Ref r) { return undefined_bits_ + std::size_t{r.unit} * 32; }
  std::uint64_t* undefined_quads(Ref r) {
    return reinterpret_cast<std::uint64_t*>(undefined_bits_ + std::size_t{r.unit} * 32);
  }
  /// Undefined bits of a lane's value (a predicate: 0 or all ones).
  std::uint64_t undefined_bits(Ref r, std::uint32_t lane) {
    if (!(undefined(r) >> lane & 1)) return 0;
    if (r.predicate) return ~std::uint64_t{0};
    return r.wide ? undefined_quads(r)[lane] : undefined_words(r)[lane];
  }
  void set_undefined(Ref r, std::uint32_t lane, std::uint64_t bits) {
    const std::uint32_t bit = 1u << lane;
    if (bits == 0) {
      undefined_lanes_[r.unit] &= ~bit;
      return;
    }
    undefined_lanes_[r.unit] |= bit;
    if (r.predicate) return;
    if (r.wide) {
      undefined_quads(r)[lane] = bits;
    } else {
      undefined_words(r)[lane] = static_cast<std::uint32_t>(bits);
    }
  }
  void set_defined(Ref r, std::uint32_t lanes) { undefined_lanes_[r.unit] &= ~lanes; }
  /// All destinations of the active lanes are defined.
  void define_results(const Instruction& in) {
    for (int i = 0; i < in.dst_count; ++i) set_defined(in.dst[i], active);
  }
  /// All bits of them are undefined.
  void undefine(Ref r, std::uint32_t lanes) {
    for (std::uint32_t set = lanes; set != 0; set &= set - 1) {
      set_undefined(r, static_cast<std::uint32_t>(std::countr_zero(set)), ~std::uint64_t{0});
    }
  }

  /// Reports a failure of the current instruction in these lanes. Returns only if the launch goes
  /// on after failures.
  void fail(Fault fault, std::uint32_t lanes, std::string message);
  /// The same for another instruction of this warp.
  void fail_at(const Frame& where, std::uint32_t site, Fault fault, std::uint32_t lanes,
               std::string message);
  /// Fails for lanes in which one of the first `count` sources is undefined; returns those lanes.
  std::uint32_t require_defined(const Instruction& in, int first, int count, Fault fault,
                                const char* what);

  /// Instructions that the block has executed; grows with every look.
  std::uint64_t clock();
  /// Counts of the current instruction.
  SiteTally& tally() const;
  /// Index of the current instruction.
  std::uint32_t site() const { return site_; }
  /// The same for records of accesses: none within device functions, whose sites are not the
  /// kernel's.
  std::uint32_t race_site() const { return frame->parent == nullptr ? site_ : ~0u; }

  /// For warp-wide instructions: true if all `named` lanes (those that have not exited) are active
  /// now. Otherwise the group waits for the rest, and the instruction must return at once.
  bool gathered(std::uint32_t named);
  /// For .aligned instructions: all lanes of the warp must execute it together.
  bool gathered_all() { return gathered(alive); }

  /// Only these of the active lanes execute the current instruction now; the rest do so later.
  void split_active(std::uint32_t lanes);

  void branch(std::uint32_t lanes, std::uint32_t target);
  /// The running lanes go to different places: (lanes, target) pairs.
  void scatter(const std::vector<std::pair<std::uint32_t, std::uint32_t>>& ways);
  void call(const Instruction& in, const Function& callee, std::uint32_t lanes);
  void leave(std::uint32_t lanes);  ///< return from the frame, or exit from the kernel's
  void exit(std::uint32_t lanes);
  void wait_at_barrier(Wait wait = Wait::barrier);  ///< the running group waits
  /// The group that waits at a barrier with these lanes goes on.
  void release(std::uint32_t lanes);
  /// Lanes that wait at bar.warp.sync, though at different places, for each other.
  void release_gathered(std::uint32_t lanes);

  const std::vector<Group>& groups() const { return groups_; }
  /// Nothing can run: says which instruction the first waiting group waits at.
  const Group* first_waiting() const;

  std::byte* local_data(std::uint32_t lane) { return local_data_.data() + lane * local_capacity_; }
  std::byte* local_defined(std::uint32_t lane) {
    return local_defined_.data() + lane * local_capacity_;
  }
  std::uint32_t local_limit() const;  ///< first address past the running frame

  std::uint32_t thread_index(std::uint32_t lane) const { return index * 32 + lane; }

 private:
  Frame* enter(const Function& function, Frame* parent, std::uint32_t lanes);
  void fill_specials(Frame& frame);
  void reserve_local(std::uint32_t bytes);
  void load(std::size_t group);
  void store_running();
  bool pick();
  void drop_frame(Frame* frame);
  void step();
  void watch(const Instruction& in);
  bool rename(Ref from, Ref to);
  bool resolve_waiting();

  Worker* worker_;
  SiteTally* tallies_ = nullptr;  ///< of the running function
  std::array<std::uint32_t*, 2> values_{};
  std::uint32_t* undefined_bits_ = nullptr;
  std::uint32_t* undefined_lanes_ = nullptr;
  std::uint32_t site_ = 0;
  std::uint32_t stop_pc_ = 0;   ///< another group of the frame waits there
  bool running_ = false;        ///< the running group is loaded
  std::uint32_t forced_ = 0;    ///< lanes that go on though others they name are missing
  std::uint32_t patience_ = 0;  ///< steps the running group may still take while others could run
  std::vector<Group> groups_;   ///< not running
  std::vector<std::unique_ptr<Frame>> frames_;
  std::vector<std::byte> local_data_;
  std::vector<std::byte> local_defined_;
  std::size_t local_capacity_ = 0;
};

}  // namespace gpu
