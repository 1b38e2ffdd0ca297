#include <algorithm>
#include <array>

#include "gpu/program/decoder.hpp"

namespace gpu {

void Decoder::require_target(int major) const {
  if (module_.target_major < major) throw Unsupported("needs sm_" + std::to_string(10 * major));
}

bool Decoder::accept(std::string_view modifier) {
  const auto it = std::find(modifiers_.begin(), modifiers_.end(), modifier);
  if (it == modifiers_.end()) return false;
  modifiers_.erase(it);
  return true;
}

bool Decoder::has(std::string_view modifier) const {
  return std::find(modifiers_.begin(), modifiers_.end(), modifier) != modifiers_.end();
}

void Decoder::expect(std::string_view modifier) {
  if (!accept(modifier)) throw Unsupported("expected ." + std::string(modifier));
}

int Decoder::accept_one(std::initializer_list<std::string_view> modifiers) {
  int index = 0;
  for (const std::string_view modifier : modifiers) {
    if (accept(modifier)) return index;
    ++index;
  }
  return -1;
}

bool Decoder::has_type() const {
  return std::any_of(modifiers_.begin(), modifiers_.end(),
                     [](std::string_view m) { return ptx::type_of(m) != ptx::Type::none; });
}

ptx::Type Decoder::take_type() {
  for (const std::string_view modifier : modifiers_) {
    const ptx::Type type = ptx::type_of(modifier);
    if (type == ptx::Type::none) continue;
    accept(modifier);
    return type;
  }
  throw Unsupported("expected a type");
}

std::string_view Decoder::take_any() {
  if (modifiers_.empty()) return {};
  const std::string_view first = modifiers_.front();
  modifiers_.erase(modifiers_.begin());
  return first;
}

Decoder::Ordering Decoder::take_ordering() {
  Ordering ordering;
  ordering.is_volatile = accept("volatile");
  if (accept("weak") || accept("nc") || accept("mmio")) {
  }
  ordering.relaxed = accept("relaxed");
  ordering.acquire = accept("acquire");
  ordering.release = accept("release");
  if (accept("acq_rel") || accept("seq_cst") || accept("sc")) {
    ordering.acquire = ordering.release = true;
  }
  accept_one({"cta", "cluster", "gpu", "sys"});
  // hints about caches change nothing that can be observed here
  accept_one({"ca", "cg", "cs", "lu", "cv", "wb", "wt"});
  accept_one({"L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
              "L1::no_allocate"});
  accept_one({"L2::evict_normal", "L2::evict_first", "L2::evict_last"});
  accept_one({"L2::64B", "L2::128B", "L2::256B"});
  accept("L2::cache_hint");
  accept("unified");
  return ordering;
}

ptx::Space Decoder::take_space() {
  using ptx::Space;
  if (accept("global")) return Space::global;
  if (accept("shared") || accept("shared::cta")) return Space::shared;
  if (accept("local")) return Space::local;
  if (accept("const")) return Space::constant;
  if (accept("param") || accept("param::entry")) return Space::param;
  if (accept("param::func")) return Space::param;
  return Space::generic;
}

}  // namespace gpu
