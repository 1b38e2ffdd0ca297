#include "gpu/machine/race_detector.hpp"

#include <algorithm>
#include <bit>

namespace gpu {

RaceDetector::RaceDetector(std::size_t bytes, std::uint32_t warps)
    : warps_(warps), words_((bytes + 3) / 4), published_(2 * warps, 0) {
  for (WarpClock& w : warps_) w.knows.assign(2 * warps, 0);
}

void RaceDetector::join(Knowledge& into, const Knowledge& from) {
  for (std::size_t i = 0; i < into.size(); ++i) into[i] = std::max(into[i], from[i]);
}

bool RaceDetector::ordered(const Thread& now, std::uint32_t warp, std::uint32_t lane,
                           std::uint32_t time, std::uint32_t clock) const {
  const WarpClock& mine = warps_[now.warp];
  if (warp != now.warp) return time < mine.knows[warp];
  if (lane == now.lane || clock < mine.all_lanes) return true;
  return mine.pairs != nullptr && clock < (*mine.pairs)[now.lane][lane];
}

bool RaceDetector::known_as_copy(const Record& r, const Knowledge& knows) const {
  const bool is_copy = r.write == Write::copied || r.write == Write::arrived;
  return is_copy && r.write_time < knows[copies_of(warp_of(r))];
}

RaceDetector::Conflict RaceDetector::check_write(const Record& r, const Thread& now) const {
  if (r.write == Write::none) return {};
  const std::uint32_t warp = warp_of(r);
  const std::uint32_t lane = lane_of(r);
  const bool by_thread = r.write != Write::arrived;
  if (by_thread && ordered(now, warp, lane, r.write_time, r.write_clock)) return {};
  if (known_as_copy(r, warps_[now.warp].knows)) return {};
  return {Conflict::Kind::read_after_write, warp, lane, r.write_site, 0};
}

RaceDetector::Conflict RaceDetector::check_readers(const Record& r, const Thread& now) const {
  for (std::uint32_t set = r.read.warps; set != 0; set &= set - 1) {
    const auto warp = static_cast<std::uint32_t>(std::countr_zero(set));
    if (warp != now.warp) {
      const std::uint32_t time = r.read.table == 0 ? r.read.time : tables_[r.read.table][warp];
      if (time >= warps_[now.warp].knows[warp]) {
        const auto lane = static_cast<std::uint32_t>(std::countr_zero(r.read.lanes | (1u << 31)));
        return {Conflict::Kind::write_after_read, warp, lane, r.read_site, 0};
      }
      continue;
    }
    // lanes are only known where a single warp read
    if (!std::has_single_bit(r.read.warps)) continue;
    for (std::uint32_t lanes = r.read.lanes; lanes != 0; lanes &= lanes - 1) {
      const auto lane = static_cast<std::uint32_t>(std::countr_zero(lanes));
      if (!ordered(now, warp, lane, r.read.time, r.read.clock)) {
        return {Conflict::Kind::write_after_read, warp, lane, r.read_site, 0};
      }
    }
  }
  return {};
}

/// Two strong accesses don't race, but volatile ones of one warp do.
bool RaceDetector::excused(const Record& r, const Thread& now, Strength strength) {
  if (strength == Strength::weak || (r.write != Write::strong && r.write != Write::within_block)) {
    return false;
  }
  const bool both_volatile = strength == Strength::within_block && r.write == Write::within_block;
  return !both_volatile || warp_of(r) != now.warp;
}

template <class Visit>
RaceDetector::Conflict RaceDetector::each_record(std::uint32_t offset, std::uint32_t bytes,
                                                 bool unify, Visit visit) {
  Conflict first;
  const std::uint32_t end = offset + bytes;
  for (std::uint32_t at = offset; at < end;) {
    Record& word = words_[at / 4];
    const std::uint32_t next = std::min(end, at / 4 * 4 + 4);
    const bool whole = next - at == 4;
    if (!whole && !word.split) {
      if (bytes_.empty()) bytes_.resize(words_.size() * 4);
      drop_table(word);
      std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at / 4 * 4), 4, word);
      word.split = true;
    }
    const auto note = [&](Conflict c, std::uint32_t address) {
      if (first.kind == Conflict::Kind::none && c.kind != Conflict::Kind::none) {
        first = c;
        first.address = address;
      }
    };
    if (word.split) {
      for (std::uint32_t b = at; b < next; ++b) note(visit(bytes_[b]), b);
      if (whole && unify) {
        word = bytes_[at];
        word.split = false;
        for (std::uint32_t b = at + 1; b < next; ++b) drop_table(bytes_[b]);
      }
    } else {
      note(visit(word), at);
    }
    at = next;
  }
  return first;
}

RaceDetector::Conflict RaceDetector::check_read(const Record& r, const Thread& now,
                                                Strength strength) const {
  if (r.write == Write::in_flight) {
    return {Conflict::Kind::in_flight, warp_of(r), lane_of(r), r.write_site, 0};
  }
  return excused(r, now, strength) ? Conflict{} : check_write(r, now);
}

/// The first conflict that one of the lanes has. It is the same for all of them unless a lane of
/// their own warp wrote since these last met.
RaceDetector::Conflict RaceDetector::check_read_by_all(const Record& r, Thread now,
                                                       std::uint32_t lanes,
                                                       Strength strength) const {
  if (warp_of(r) != now.warp || r.write_clock < warps_[now.warp].all_lanes)
    return check_read(r, now, strength);
  Conflict conflict;
  for (; lanes != 0 && conflict.kind == Conflict::Kind::none; lanes &= lanes - 1) {
    now.lane = static_cast<std::uint32_t>(std::countr_zero(lanes));
    conflict = check_read(r, now, strength);
  }
  return conflict;
}

void RaceDetector::add_readers(Record& r, const Thread& now, std::uint32_t lanes) {
  const std::uint32_t clock = warps_[now.warp].clock;
  const std::uint32_t warp_bit = 1u << now.warp;
  if (r.read.warps == warp_bit && r.read.time == time_ && r.read.clock == clock) {
    r.read.lanes |= lanes;
  } else if (r.read.warps == 0 || check_readers(r, now).kind == Conflict::Kind::none) {
    drop_table(r);
    r.read.warps = warp_bit;
    r.read.lanes = lanes;
  } else {
    if (r.read.table == 0 && r.read.time != time_ && r.read.warps != warp_bit) add_table(r);
    if (r.read.table != 0) tables_[r.read.table][now.warp] = time_;
    r.read.lanes = r.read.warps == warp_bit ? r.read.lanes | lanes : lanes;
    r.read.warps |= warp_bit;
  }
  r.read.time = time_;
  r.read.clock = clock;
}

RaceDetector::Conflict RaceDetector::read(Thread now, std::uint32_t lanes, std::uint32_t offset,
                                          std::uint32_t bytes, Strength strength) {
  // words of one access were mostly written and read together: what held for one holds for the next
  const Record* last = nullptr;
  Readers before, after;
  return each_record(offset, bytes, false, [&](Record& r) -> Conflict {
    Conflict conflict;
    if (last == nullptr || !r.same_write(*last))
      conflict = check_read_by_all(r, now, lanes, strength);
    if (strength != Strength::weak) return conflict;
    if (last == nullptr || after.table != 0 || r.read != before) {
      before = r.read;
      add_readers(r, now, lanes);
      after = r.read;
    } else {
      r.read = after;
    }
    r.read_site = now.site;
    last = &r;
    return conflict;
  });
}

void RaceDetector::set_write(Record& r, const Thread& now, Write kind) {
  r.write_time = time_;
  r.write_clock = warps_[now.warp].clock;
  r.write_site = now.site;
  r.write_thread = static_cast<std::uint16_t>(now.warp << 5 | now.lane);
  r.write = kind;
  drop_table(r);
  r.read.warps = 0;
  r.read.lanes = 0;
}

void RaceDetector::add_table(Record& r) {
  if (free_tables_.empty()) {
    if (tables_.empty()) tables_.emplace_back();  // index 0: no table
    tables_.emplace_back();
    r.read.table = static_cast<std::uint32_t>(tables_.size() - 1);
  } else {
    r.read.table = free_tables_.back();
    free_tables_.pop_back();
  }
  tables_[r.read.table].fill(r.read.time);
}

void RaceDetector::drop_table(Record& r) {
  if (r.read.table == 0) return;
  free_tables_.push_back(r.read.table);
  r.read.table = 0;
}

RaceDetector::Conflict RaceDetector::write(Thread now, std::uint32_t offset, std::uint32_t bytes,
                                           Strength strength, bool same_value) {
  const Conflict read = same_value ? Conflict{} : check_being_read(offset, bytes);
  const Conflict other = each_record(offset, bytes, true, [&](Record& r) -> Conflict {
    Conflict conflict;
    if (r.write == Write::in_flight) {
      conflict = {Conflict::Kind::in_flight, warp_of(r), lane_of(r), r.write_site, 0};
    } else if (!same_value && !excused(r, now, strength)) {
      conflict = check_write(r, now);
      if (conflict.kind != Conflict::Kind::none) conflict.kind = Conflict::Kind::write_after_write;
    }
    if (conflict.kind == Conflict::Kind::none && !same_value) conflict = check_readers(r, now);
    set_write(r, now,
              strength == Strength::strong         ? Write::strong
              : strength == Strength::within_block ? Write::within_block
                                                   : Write::weak);
    return conflict;
  });
  return read.kind != Conflict::Kind::none ? read : other;
}

RaceDetector::Conflict RaceDetector::begin_copy(Thread now, std::uint32_t offset,
                                                std::uint32_t bytes) {
  const Conflict read = check_being_read(offset, bytes);
  const Conflict other = each_record(offset, bytes, true, [&](Record& r) -> Conflict {
    Conflict conflict;
    if (r.write == Write::in_flight) {
      conflict = {Conflict::Kind::in_flight, warp_of(r), lane_of(r), r.write_site, 0};
    } else {
      conflict = check_write(r, now);
      if (conflict.kind != Conflict::Kind::none) conflict.kind = Conflict::Kind::write_after_write;
    }
    if (conflict.kind == Conflict::Kind::none) conflict = check_readers(r, now);
    set_write(r, now, Write::in_flight);
    return conflict;
  });
  return read.kind != Conflict::Kind::none ? read : other;
}

void RaceDetector::end_copy(Thread now, std::uint32_t offset, std::uint32_t bytes, Ending ending) {
  const Write kind = ending == Ending::wait      ? Write::copied
                     : ending == Ending::arrival ? Write::arrived
                                                 : Write::bulk;
  each_record(offset, bytes, true, [&](Record& r) -> Conflict {
    set_write(r, now, kind);
    return {};
  });
}

RaceDetector::Conflict RaceDetector::check_being_read(std::uint32_t offset,
                                                      std::uint32_t bytes) const {
  if (being_read_.empty()) return {};
  for (std::uint32_t at = offset / 16; at <= (offset + bytes - 1) / 16; ++at) {
    const BeingRead& b = being_read_[at];
    if (b.warps == 0) continue;
    return {Conflict::Kind::being_read, b.warp, 0, b.site, std::max(offset, at * 16)};
  }
  return {};
}

/// All lanes of a warp that knows that much know of the write.
bool RaceDetector::known_by_all(const Record& r, std::uint32_t warp, std::uint32_t all_lanes,
                                const Knowledge& knows) const {
  if (known_as_copy(r, knows)) return true;
  if (r.write == Write::arrived) return false;
  const std::uint32_t writer = warp_of(r);
  return writer == warp ? r.write_clock < all_lanes : r.write_time < knows[writer];
}

/// The thread that wrote has executed a fence since, and that warp knows.
bool RaceDetector::fenced_by_writer(const Record& r, std::uint32_t warp) const {
  const std::uint32_t writer = warp_of(r), lane = lane_of(r);
  const auto& fences = warps_[writer].fences;
  const auto is_later = [&](const ProxyFence& f) {
    return (f.lanes >> lane & 1) != 0 && (r.write != Write::arrived || known_as_copy(r, f.knows));
  };
  auto at = std::lower_bound(fences.begin(), fences.end(), r.write_time,
                             [](const ProxyFence& f, std::uint32_t time) { return f.time < time; });
  at = std::find_if(at, fences.end(), is_later);
  if (at == fences.end()) return false;
  const WarpClock& mine = warps_[warp];
  return writer == warp ? at->clock < mine.all_lanes : at->time < mine.knows[writer];
}

/// Each lane of that warp has executed a fence since it knows of the write.
bool RaceDetector::fenced_by_reader(const Record& r, std::uint32_t warp) const {
  const auto& fences = warps_[warp].fences;
  std::uint32_t lanes = 0;
  for (auto at = fences.rbegin(); at != fences.rend() && lanes != ~0u; ++at) {
    if (!known_by_all(r, warp, at->all_lanes, at->knows)) break;
    lanes |= at->lanes;
  }
  return lanes == ~0u;
}

/// What a product of that warp has to know of a write: all lanes execute it, all of them must know.
RaceDetector::Conflict RaceDetector::check_product(const Record& r, std::uint32_t warp) const {
  const WarpClock& mine = warps_[warp];
  if (!known_by_all(r, warp, mine.all_lanes, mine.knows)) {
    return {Conflict::Kind::read_after_write, warp_of(r), lane_of(r), r.write_site, 0};
  }
  if (r.write == Write::bulk || fenced_by_writer(r, warp) || fenced_by_reader(r, warp)) return {};
  return {Conflict::Kind::other_proxy, warp_of(r), lane_of(r), r.write_site, 0};
}

RaceDetector::Conflict RaceDetector::begin_read(std::uint32_t first, std::uint32_t site,
                                                const std::vector<std::uint32_t>& offsets) {
  if (being_read_.empty()) being_read_.resize((words_.size() + 3) / 4);
  Conflict found;
  // words that one copy or store wrote follow each other: they are looked at once
  std::uint32_t time = 0, clock = 0, thread = ~0u;
  Write kind = Write::none;
  for (const std::uint32_t offset : offsets) {
    const Conflict conflict = each_record(offset, 16, false, [&](Record& r) -> Conflict {
      if (r.write == Write::none) return {};
      if (r.write == Write::in_flight) {
        return {Conflict::Kind::in_flight, warp_of(r), lane_of(r), r.write_site, 0};
      }
      const bool same_time = r.write_time == time && r.write_clock == clock;
      if (same_time && r.write_thread == thread && r.write == kind) return {};
      for (std::uint32_t warp = first; warp < first + 4; ++warp) {
        const Conflict c = check_product(r, warp);
        if (c.kind != Conflict::Kind::none) return c;
      }
      time = r.write_time, clock = r.write_clock, thread = r.write_thread, kind = r.write;
      return {};
    });
    if (found.kind == Conflict::Kind::none) found = conflict;
    BeingRead& b = being_read_[offset / 16];
    b.warps += 4;
    b.warp = first;
    b.site = site;
  }
  return found;
}

void RaceDetector::end_read(std::uint32_t warp, std::uint32_t site,
                            const std::vector<std::uint32_t>& offsets) {
  const WarpClock& mine = warps_[warp];
  const std::uint32_t bit = 1u << warp;
  for (const std::uint32_t offset : offsets) {
    --being_read_[offset / 16].warps;
    each_record(offset, 16, false, [&](Record& r) -> Conflict {
      // No lane of this warp can write before the read has ended, so none is noted.
      if ((r.read.warps & ~bit) != 0) {
        if (r.read.table == 0 && r.read.time != time_) add_table(r);
        if (r.read.table != 0) tables_[r.read.table][warp] = time_;
      } else if (r.read.warps == 0 || r.read.clock < mine.all_lanes) {
        r.read.lanes = 0;
      }
      r.read.warps |= bit;
      r.read.time = time_;
      r.read_site = site;
      return {};
    });
  }
}

void RaceDetector::publish(std::uint32_t warp, std::vector<std::uint32_t>& into) {
  ++time_;
  Knowledge mine = warps_[warp].knows;
  mine[warp] = time_;
  if (into.empty()) into.assign(mine.size(), 0);
  join(into, mine);
}

void RaceDetector::learn(std::uint32_t warp, const std::vector<std::uint32_t>& from) {
  if (from.empty()) return;
  join(warps_[warp].knows, from);
  sync_all_lanes(warp);
}

void RaceDetector::publish_copies(std::uint32_t warp, std::vector<std::uint32_t>& into) {
  if (into.empty()) into.assign(2 * warps_.size(), 0);
  into[copies_of(warp)] = ++time_;
}

void RaceDetector::learn_copies(std::uint32_t warp) {
  warps_[warp].knows[copies_of(warp)] = ++time_;
}

void RaceDetector::proxy_fence(std::uint32_t warp, std::uint32_t lanes) {
  WarpClock& w = warps_[warp];
  w.fences.push_back({time_, w.clock, lanes, w.all_lanes, w.knows});
  ++time_;
}

void RaceDetector::sync_all_lanes(std::uint32_t warp) {
  WarpClock& w = warps_[warp];
  w.all_lanes = ++w.clock;
}

void RaceDetector::warp_sync(std::uint32_t warp, std::uint32_t lanes) {
  if (lanes == ~0u) {
    sync_all_lanes(warp);
    return;
  }
  WarpClock& w = warps_[warp];
  const std::uint32_t now = ++w.clock;
  if (w.pairs == nullptr) {
    w.pairs = std::make_unique<std::array<std::array<std::uint32_t, 32>, 32>>();
  }
  std::array<std::uint32_t, 32> known{};
  for (std::uint32_t set = lanes; set != 0; set &= set - 1) {
    const auto& row = (*w.pairs)[static_cast<std::size_t>(std::countr_zero(set))];
    for (std::size_t i = 0; i < 32; ++i) known[i] = std::max(known[i], row[i]);
  }
  for (std::size_t i = 0; i < 32; ++i) {
    if (lanes >> i & 1) known[i] = now;
  }
  for (std::uint32_t set = lanes; set != 0; set &= set - 1) {
    (*w.pairs)[static_cast<std::size_t>(std::countr_zero(set))] = known;
  }
}

void RaceDetector::arrive(std::uint32_t warp, std::uint32_t barrier) {
  ++time_;
  Knowledge mine = warps_[warp].knows;
  mine[warp] = time_;
  if (arrived_[barrier].empty()) arrived_[barrier].assign(mine.size(), 0);
  join(arrived_[barrier], mine);
}

void RaceDetector::complete(const std::vector<std::uint32_t>& warps, std::uint32_t barrier) {
  ++time_;
  Knowledge all(2 * warps_.size(), 0);
  for (const std::uint32_t w : warps) {
    join(all, warps_[w].knows);
    all[w] = time_;
  }
  if (!arrived_[barrier].empty()) {
    join(all, arrived_[barrier]);
    arrived_[barrier].clear();
  }
  for (const std::uint32_t w : warps) {
    warps_[w].knows = all;
    sync_all_lanes(w);
  }
}

void RaceDetector::fence(std::uint32_t warp) {
  WarpClock& w = warps_[warp];
  if (w.has_candidate) {
    join(w.knows, w.candidate);
    w.has_candidate = false;
    sync_all_lanes(warp);
  }
  ++time_;
  w.released = w.knows;
  w.released[warp] = time_;
  w.has_released = true;
}

void RaceDetector::strong_write(std::uint32_t warp) {
  WarpClock& w = warps_[warp];
  if (w.has_released) join(published_, w.released);
}

void RaceDetector::strong_read(std::uint32_t warp) {
  WarpClock& w = warps_[warp];
  if (w.has_candidate) {
    join(w.candidate, published_);
  } else {
    w.candidate = published_;
    w.has_candidate = true;
  }
}

}  // namespace gpu
