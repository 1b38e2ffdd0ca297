#include <algorithm>
#include <array>
#include <charconv>

#include "gpu/program/decoder.hpp"

namespace gpu {
namespace {

struct SpecialRow {
  std::string_view name;
  Special special;
};

constexpr std::array kSpecials = {
    SpecialRow{"%tid.x", Special::tid_x},
    SpecialRow{"%tid.y", Special::tid_y},
    SpecialRow{"%tid.z", Special::tid_z},
    SpecialRow{"%ntid.x", Special::ntid_x},
    SpecialRow{"%ntid.y", Special::ntid_y},
    SpecialRow{"%ntid.z", Special::ntid_z},
    SpecialRow{"%ctaid.x", Special::ctaid_x},
    SpecialRow{"%ctaid.y", Special::ctaid_y},
    SpecialRow{"%ctaid.z", Special::ctaid_z},
    SpecialRow{"%nctaid.x", Special::nctaid_x},
    SpecialRow{"%nctaid.y", Special::nctaid_y},
    SpecialRow{"%nctaid.z", Special::nctaid_z},
    SpecialRow{"%laneid", Special::laneid},
    SpecialRow{"%warpid", Special::warpid},
    SpecialRow{"%nwarpid", Special::nwarpid},
    SpecialRow{"%smid", Special::smid},
    SpecialRow{"%nsmid", Special::nsmid},
    SpecialRow{"%lanemask_eq", Special::lanemask_eq},
    SpecialRow{"%lanemask_le", Special::lanemask_le},
    SpecialRow{"%lanemask_lt", Special::lanemask_lt},
    SpecialRow{"%lanemask_ge", Special::lanemask_ge},
    SpecialRow{"%lanemask_gt", Special::lanemask_gt},
    SpecialRow{"%dynamic_smem_size", Special::dynamic_smem_size},
    SpecialRow{"%total_smem_size", Special::total_smem_size},
    SpecialRow{"%clusterid.x", Special::clusterid_x},
    SpecialRow{"%clusterid.y", Special::clusterid_y},
    SpecialRow{"%clusterid.z", Special::clusterid_z},
    SpecialRow{"%nclusterid.x", Special::nclusterid_x},
    SpecialRow{"%nclusterid.y", Special::nclusterid_y},
    SpecialRow{"%nclusterid.z", Special::nclusterid_z},
    SpecialRow{"%cluster_ctaid.x", Special::cluster_ctaid_x},
    SpecialRow{"%cluster_ctaid.y", Special::cluster_ctaid_y},
    SpecialRow{"%cluster_ctaid.z", Special::cluster_ctaid_z},
    SpecialRow{"%cluster_nctaid.x", Special::cluster_nctaid_x},
    SpecialRow{"%cluster_nctaid.y", Special::cluster_nctaid_y},
    SpecialRow{"%cluster_nctaid.z", Special::cluster_nctaid_z},
    SpecialRow{"%cluster_ctarank", Special::cluster_ctarank},
    SpecialRow{"%cluster_nctarank", Special::cluster_nctarank},
    SpecialRow{"%tid.w", Special::zero},
    SpecialRow{"%ctaid.w", Special::zero},
};

}  // namespace

Ref Decoder::special_slot(Special special, std::uint64_t addend, bool wide, bool predicate) {
  const std::pair key{static_cast<int>(special) * 2 + (wide ? 1 : 0), addend};
  const auto [it, inserted] = special_slots_.try_emplace(key);
  if (inserted) {
    it->second = fresh(wide, predicate);
    out_.specials.push_back({special, it->second, addend});
  }
  return it->second;
}

Ref Decoder::special(std::string_view name) {
  const auto* row = std::find_if(kSpecials.begin(), kSpecials.end(),
                                 [&](const SpecialRow& r) { return r.name == name; });
  if (row != kSpecials.end()) return special_slot(row->special, 0, false);
  if (name == "%gridid") return special_slot(Special::gridid, 0, true);
  if (name.starts_with("%envreg")) {
    std::uint64_t number = 0;
    std::from_chars(name.data() + 7, name.data() + name.size(), number);
    return special_slot(Special::envreg, number, false);
  }
  if (name == "%is_explicit_cluster") {
    return special_slot(Special::is_explicit_cluster, 0, false, true);
  }
  throw Unsupported("unknown special register " + std::string(name));
}

}  // namespace gpu
