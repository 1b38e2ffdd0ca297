#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gpu {

/// How strongly an access is ordered: weak ones race with everything unordered, strong ones
/// (relaxed, atomic) only with weak ones. Volatile ones are strong between warps, where they make
/// flags; within a warp they are as weak as any: it is bar.warp.sync that orders lanes.
enum class Strength : std::uint8_t { weak, within_block, strong };

/// Finds accesses to shared memory that nothing orders, by vector clocks of warps and lanes (after
/// FastTrack: Flanagan and Freund, PLDI 2009). What orders accesses: the program order of a thread,
/// barriers, bar.warp.sync, and a fence, a strong write, a strong read that follows it, and a
/// fence. Each 4-byte word has a record, or, where threads share a word, each of its bytes.
class RaceDetector {
 public:
  /// A conflict: the access before, and how it clashes.
  struct Conflict {
    enum class Kind {
      none,
      read_after_write,
      write_after_write,
      write_after_read,
      in_flight,
      being_read,
      other_proxy
    };
    Kind kind = Kind::none;
    std::uint32_t warp = 0;
    std::uint32_t lane = 0;
    std::uint32_t site = 0;  ///< of the earlier access
    std::uint32_t address = 0;
  };
  struct Thread {
    std::uint32_t warp;
    std::uint32_t lane;
    std::uint32_t site;
  };

  RaceDetector(std::size_t bytes, std::uint32_t warps);

  /// Offsets count from the start of shared memory and must be within it. `lanes`: all that read
  /// there at once, of which the thread's is one.
  Conflict read(Thread thread, std::uint32_t lanes, std::uint32_t offset, std::uint32_t bytes,
                Strength strength);
  /// `same_value`: the bytes written are those that are there; two such writes are no race.
  Conflict write(Thread thread, std::uint32_t offset, std::uint32_t bytes, Strength strength,
                 bool same_value);
  /// How a copy ends. wait: its thread has waited for it, and has written the bytes then. arrival:
  /// an mbarrier that tracks it knows that it has landed, its thread does not. bulk: like a wait by
  /// its thread, but the bytes were written by the asynchronous proxy.
  enum class Ending : std::uint8_t { wait, arrival, bulk };
  /// An asynchronous copy by that thread is under way to these bytes / has landed.
  Conflict begin_copy(Thread thread, std::uint32_t offset, std::uint32_t bytes);
  void end_copy(Thread thread, std::uint32_t offset, std::uint32_t bytes, Ending ending);

  /// A product of the warpgroup that starts with warp `first` is going to read 16 bytes at each of
  /// these offsets, through the asynchronous proxy. Each of its four warps must know what was
  /// written there, and either that the writer made it visible to that proxy since, or must have
  /// done so itself since it knows.
  Conflict begin_read(std::uint32_t first, std::uint32_t site,
                      const std::vector<std::uint32_t>& offsets);
  /// One of those warps has waited for it.
  void end_read(std::uint32_t warp, std::uint32_t site, const std::vector<std::uint32_t>& offsets);
  /// What the warp knows and has done goes into `into` (empty: nothing yet), from where `learn`
  /// gives it to others.
  void publish(std::uint32_t warp, std::vector<std::uint32_t>& into);
  void learn(std::uint32_t warp, const std::vector<std::uint32_t>& from);
  /// The same of the warp's copies that have ended alone, not of what else it has done / for
  /// itself.
  void publish_copies(std::uint32_t warp, std::vector<std::uint32_t>& into);
  void learn_copies(std::uint32_t warp);
  /// fence.proxy.async, of shared memory.
  void proxy_fence(std::uint32_t warp, std::uint32_t lanes);

  void warp_sync(std::uint32_t warp, std::uint32_t lanes);
  /// A warp arrives at a barrier without waiting for it; `barrier` keeps what it did until then.
  void arrive(std::uint32_t warp, std::uint32_t barrier);
  /// A barrier completes: the waiting warps learn what they and those that arrived did before.
  void complete(const std::vector<std::uint32_t>& warps, std::uint32_t barrier);
  void fence(std::uint32_t warp);
  void strong_write(std::uint32_t warp);
  void strong_read(std::uint32_t warp);

 private:
  enum class Write : std::uint8_t {
    none,
    weak,
    within_block,
    strong,
    copied,   ///< known to who knows what the thread did, or what its copies did
    arrived,  ///< known to who knows what the thread's copies did
    bulk,
    in_flight
  };
  struct Readers {
    std::uint32_t time = 0;
    std::uint32_t clock = 0;
    std::uint32_t warps = 0;
    std::uint32_t lanes = 0;
    std::uint32_t table = 0;  ///< index into tables_ where warps read at different times
    bool operator==(const Readers&) const = default;
  };
  struct Record {
    std::uint32_t write_time = 0;
    std::uint32_t write_clock = 0;
    std::uint32_t write_site = 0;
    std::uint16_t write_thread = 0;
    Write write = Write::none;
    bool split = false;
    Readers read;
    std::uint32_t read_site = 0;

    bool same_write(const Record& r) const {
      return write_time == r.write_time && write_clock == r.write_clock &&
             write_thread == r.write_thread && write == r.write;
    }
  };
  static bool excused(const Record& record, const Thread& now, Strength strength);
  static std::uint32_t warp_of(const Record& r) { return std::uint32_t{r.write_thread} >> 5; }
  static std::uint32_t lane_of(const Record& r) { return r.write_thread & 31u; }
  /// By warp: everything before that time is known. Then once more, of the warp's copies alone.
  using Knowledge = std::vector<std::uint32_t>;
  std::size_t copies_of(std::uint32_t warp) const { return warps_.size() + warp; }

  template <class Visit>
  Conflict each_record(std::uint32_t offset, std::uint32_t bytes, bool unify, Visit visit);
  bool ordered(const Thread& now, std::uint32_t warp, std::uint32_t lane, std::uint32_t time,
               std::uint32_t clock) const;
  Conflict check_write(const Record& record, const Thread& now) const;
  Conflict check_readers(const Record& record, const Thread& now) const;
  Conflict check_read(const Record& record, const Thread& now, Strength strength) const;
  Conflict check_read_by_all(const Record& record, Thread now, std::uint32_t lanes,
                             Strength strength) const;
  void add_readers(Record& record, const Thread& now, std::uint32_t lanes);
  Conflict check_being_read(std::uint32_t offset, std::uint32_t bytes) const;
  bool known_as_copy(const Record& record, const Knowledge& knows) const;
  bool known_by_all(const Record& record, std::uint32_t warp, std::uint32_t all_lanes,
                    const Knowledge& knows) const;
  bool fenced_by_writer(const Record& record, std::uint32_t warp) const;
  bool fenced_by_reader(const Record& record, std::uint32_t warp) const;
  Conflict check_product(const Record& record, std::uint32_t warp) const;
  void set_write(Record& record, const Thread& now, Write kind);
  void add_table(Record& record);
  void drop_table(Record& record);
  static void join(Knowledge& into, const Knowledge& from);
  void sync_all_lanes(std::uint32_t warp);

  struct ProxyFence {
    std::uint32_t time, clock, lanes;
    std::uint32_t all_lanes;  ///< and what the warp knew then
    Knowledge knows;
  };
  /// Products in flight that read 16 bytes.
  struct BeingRead {
    std::uint32_t warps = 0;  ///< that have not waited yet, of all products
    std::uint32_t warp = 0;   ///< one of them
    std::uint32_t site = 0;
  };
  struct WarpClock {
    std::uint32_t clock = 1;      ///< counts synchronisations of the warp
    std::uint32_t all_lanes = 0;  ///< clock of the last that took in all lanes
    std::unique_ptr<std::array<std::array<std::uint32_t, 32>, 32>> pairs;  ///< of partial ones
    std::vector<ProxyFence> fences;  ///< fence.proxy.async, in the order of time
    Knowledge knows;
    Knowledge released;   ///< at the last fence
    Knowledge candidate;  ///< what strong reads may have seen; a fence takes it up
    bool has_released = false;
    bool has_candidate = false;
  };

  std::uint32_t time_ = 1;
  std::vector<WarpClock> warps_;
  std::vector<Record> words_;
  std::vector<BeingRead> being_read_;                  ///< by 16 bytes; empty before products
  std::vector<Record> bytes_;                          ///< allocated when the first word is split
  std::vector<std::array<std::uint32_t, 32>> tables_;  ///< times of reads, by warp
  std::vector<std::uint32_t> free_tables_;
  std::array<Knowledge, 16> arrived_;
  Knowledge published_;  ///< by strong writes after fences
};

}  // namespace gpu
