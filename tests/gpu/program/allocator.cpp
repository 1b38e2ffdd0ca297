#include <algorithm>
#include <bit>
#include <map>
#include <queue>

#include "gpu/program/decoder.hpp"

namespace gpu {
namespace {

/// One straight run of instructions.
struct Stretch {
  std::uint32_t first = 0;
  std::uint32_t last = 0;  ///< inclusive
  std::vector<std::uint32_t> next;
  std::vector<std::uint64_t> live_in, live_out, reads, writes;
};

struct Interval {
  std::uint32_t reg = 0;
  std::uint32_t begin = ~0u;
  std::uint32_t end = 0;
  bool wide = false;
  bool predicate = false;
  bool held = false;
};

/// Liveness by data flow over stretches, then linear scan over one interval per register: from the
/// first to the last place where it is alive on any path. A register read before it is written is
/// alive from the start, so it keeps a place of its own, undefined until the first write. So do
/// registers that instructions use beyond their own end (Instruction::holds), and those that are
/// copied from or to them: who touches such a place touches that register and no other.
class RegisterAllocation {
 public:
  RegisterAllocation(Function& function, std::uint32_t virtuals)
      : function_(function), virtuals_(virtuals), words_((virtuals + 63) / 64) {}

  void run() {
    if (function_.code.empty()) return;
    find_stretches();
    find_liveness();
    find_intervals();
    find_held();
    assign();
    rewrite();
  }

 private:
  static bool is_register(const Ref& ref) { return ref.bank == Ref::registers; }

  void find_stretches() {
    const auto size = static_cast<std::uint32_t>(function_.code.size());
    std::vector<bool> leads(size + 1, false);
    leads[0] = true;
    for (std::uint32_t i = 0; i < size; ++i) {
      const Instruction& in = function_.code[i];
      if (in.flow == Flow::next) continue;
      leads[i + 1] = true;
      if (in.flow == Flow::jump) leads[in.target] = true;
      if (in.flow == Flow::table) {
        for (const std::uint32_t target : function_.branch_tables[in.extra]) leads[target] = true;
      }
    }
    std::vector<std::uint32_t> stretch_of(size);
    for (std::uint32_t i = 0; i < size; ++i) {
      if (leads[i]) {
        stretches_.emplace_back();
        stretches_.back().first = i;
      }
      stretches_.back().last = i;
      stretch_of[i] = static_cast<std::uint32_t>(stretches_.size() - 1);
    }
    for (Stretch& stretch : stretches_) {
      const Instruction& in = function_.code[stretch.last];
      if (in.flow == Flow::jump) stretch.next.push_back(stretch_of[in.target]);
      if (in.flow == Flow::table) {
        for (const std::uint32_t target : function_.branch_tables[in.extra]) {
          stretch.next.push_back(stretch_of[target]);
        }
      }
      if ((in.flow == Flow::next || in.guarded) && stretch.last + 1 < size) {
        stretch.next.push_back(stretch_of[stretch.last + 1]);
      }
    }
  }

  template <class Read, class Write>
  void visit(const Instruction& in, Read read, Write write) {
    for (int i = 0; i < in.src_count; ++i) {
      if (is_register(in.src[i])) read(in.src[i]);
    }
    if (in.guarded) read(in.guard);
    for (int i = 0; i < in.dst_count; ++i) write(in.dst[i], in.guarded);
  }

  void find_liveness() {
    const auto has = [](const std::vector<std::uint64_t>& set, std::uint32_t reg) {
      return (set[reg / 64] >> (reg % 64) & 1) != 0;
    };
    const auto add = [](std::vector<std::uint64_t>& set, std::uint32_t reg) {
      set[reg / 64] |= std::uint64_t{1} << (reg % 64);
    };
    for (Stretch& s : stretches_) {
      s.live_in.assign(words_, 0);
      s.live_out.assign(words_, 0);
      s.reads.assign(words_, 0);
      s.writes.assign(words_, 0);
      for (std::uint32_t i = s.first; i <= s.last; ++i) {
        visit(
            function_.code[i],
            [&](const Ref& r) {
              if (!has(s.writes, r.unit)) add(s.reads, r.unit);
            },
            [&](const Ref& r, bool conditional) {
              if (!conditional) {
                add(s.writes, r.unit);
              } else if (!has(s.writes, r.unit)) {
                add(s.reads, r.unit);  // may keep its old value
              }
            });
      }
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t n = stretches_.size(); n-- > 0;) {
        Stretch& s = stretches_[n];
        for (std::size_t w = 0; w < words_; ++w) {
          std::uint64_t out = 0;
          for (const std::uint32_t next : s.next) out |= stretches_[next].live_in[w];
          const std::uint64_t in = s.reads[w] | (out & ~s.writes[w]);
          changed |= in != s.live_in[w];
          s.live_out[w] = out;
          s.live_in[w] = in;
        }
      }
    }
  }

  void set_kind(const Ref& ref) {
    intervals_[ref.unit].wide |= ref.wide;
    intervals_[ref.unit].predicate |= ref.predicate;
  }

  void extend(std::uint32_t reg, std::uint32_t at) {
    intervals_[reg].begin = std::min(intervals_[reg].begin, at);
    intervals_[reg].end = std::max(intervals_[reg].end, at);
  }

  void find_intervals() {
    intervals_.resize(virtuals_);
    // positions: 0 is before the code; instruction i reads at 2i + 1 and writes at 2i + 2
    for (const Stretch& s : stretches_) {
      for (std::size_t w = 0; w < words_; ++w) {
        for (std::uint64_t bits = s.live_in[w]; bits != 0; bits &= bits - 1) {
          extend(static_cast<std::uint32_t>(w * 64) +
                     static_cast<std::uint32_t>(std::countr_zero(bits)),
                 s.first == 0 ? 0 : 2 * s.first);
        }
        for (std::uint64_t bits = s.live_out[w]; bits != 0; bits &= bits - 1) {
          extend(static_cast<std::uint32_t>(w * 64) +
                     static_cast<std::uint32_t>(std::countr_zero(bits)),
                 2 * s.last + 2);
        }
      }
      for (std::uint32_t i = s.first; i <= s.last; ++i) {
        visit(
            function_.code[i],
            [&](const Ref& r) {
              extend(r.unit, 2 * i + 1);
              set_kind(r);
            },
            [&](const Ref& r, bool) {
              // results never share a place with sources: an instruction may write the first before
              // it reads the second
              extend(r.unit, 2 * i + 1);
              extend(r.unit, 2 * i + 2);
              set_kind(r);
            });
      }
    }
    for (const Function::SpecialSlot& slot : function_.specials) {
      if (intervals_[slot.ref.unit].begin != ~0u) extend(slot.ref.unit, 0);
      set_kind(slot.ref);
    }
  }

  static bool can_hold(const Ref& r) { return is_register(r) && !r.wide && !r.predicate; }

  void find_held() {
    const auto hold = [&](const Ref& r) { intervals_[r.unit].held = true; };
    for (const Instruction& in : function_.code) {
      if (!in.holds) continue;
      any_held_ = true;
      for (int i = 0; i < in.src_count; ++i) {
        if (can_hold(in.src[i])) hold(in.src[i]);
      }
    }
    for (bool changed = any_held_; changed;) {
      changed = false;
      for (const Instruction& in : function_.code) {
        if (!in.renames || !can_hold(in.src[0]) || !can_hold(in.dst[0])) continue;
        const bool from = intervals_[in.src[0].unit].held, to = intervals_[in.dst[0].unit].held;
        if (from == to) continue;
        changed = true;
        hold(from ? in.dst[0] : in.src[0]);
      }
    }
    if (!any_held_) return;
    for (Instruction& in : function_.code) {
      visit(
          in, [&](const Ref& r) { in.watched |= intervals_[r.unit].held; },
          [&](const Ref& r, bool) { in.watched |= intervals_[r.unit].held; });
      if (in.holds) in.watched = false;  // it looks at them itself
    }
  }

  void assign() {
    std::vector<Interval> order;
    for (std::uint32_t reg = 0; reg < virtuals_; ++reg) {
      Interval interval = intervals_[reg];
      interval.reg = reg;
      if (interval.begin != ~0u) order.push_back(interval);
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const Interval& a, const Interval& b) { return a.begin < b.begin; });
    places_.assign(virtuals_, 0);
    const auto later = [](const Interval& a, const Interval& b) { return a.end > b.end; };
    std::priority_queue<Interval, std::vector<Interval>, decltype(later)> alive(later);
    // lanes that went different ways are at different places of the program, so places are shared
    // only between registers that keep a lane's value in the same words: three kinds
    std::vector<std::uint32_t> free_narrow, free_wide, free_predicates;
    const auto free_of = [&](const Interval& i) -> std::vector<std::uint32_t>& {
      return i.predicate ? free_predicates : i.wide ? free_wide : free_narrow;
    };
    std::uint32_t top = 0;
    int pressure = 0;
    for (const Interval& interval : order) {
      while (!alive.empty() && alive.top().end < interval.begin) {
        const Interval& old = alive.top();
        if (!old.held) free_of(old).push_back(places_[old.reg]);
        pressure -= old.wide ? 2 : 1;
        alive.pop();
      }
      auto& free = free_of(interval);
      if (!free.empty() && !interval.held) {
        places_[interval.reg] = free.back();
        free.pop_back();
      } else if (interval.wide) {
        if (top % 2 != 0) free_narrow.push_back(top++);
        places_[interval.reg] = top;
        top += 2;
      } else {
        places_[interval.reg] = top++;
      }
      alive.push(interval);
      pressure += interval.wide ? 2 : 1;
      function_.pressure = std::max(function_.pressure, pressure);
    }
    function_.units = top + top % 2;
    if (!any_held_) return;
    function_.held.assign(function_.units, false);
    for (const Interval& interval : order) {
      if (interval.held) function_.held[places_[interval.reg]] = true;
    }
  }

  void rewrite() {
    for (Ref& ref : function_.refs) {
      if (is_register(ref)) ref.unit = places_[ref.unit];
    }
    for (Instruction& in : function_.code) {
      if (in.guarded) in.guard.unit = places_[in.guard.unit];
    }
    std::erase_if(function_.specials, [&](const Function::SpecialSlot& slot) {
      return intervals_[slot.ref.unit].begin == ~0u;
    });
    for (Function::SpecialSlot& slot : function_.specials) slot.ref.unit = places_[slot.ref.unit];
  }

  Function& function_;
  std::uint32_t virtuals_;
  std::size_t words_;
  bool any_held_ = false;
  std::vector<Stretch> stretches_;
  std::vector<Interval> intervals_;
  std::vector<std::uint32_t> places_;
};

}  // namespace

void allocate_registers(Function& function, std::uint32_t virtuals) {
  RegisterAllocation(function, virtuals).run();
}

}  // namespace gpu
