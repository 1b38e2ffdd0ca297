#include "cases.hpp"

#include <type_traits>
#include <utility>

namespace support {

namespace {

// Logits that are infinite without a bias' doing: no empty rows, but NaN, as infinity - infinity
// is.
std::vector<Case> infinite_cases() {
  return {
      {.name = "infinite_query", .infinite = Infinite::query},
      {.name = "infinite_query_causal",
       .len_q = 40,
       .len_k = 70,
       .causal = Causal::bottom_right,
       .infinite = Infinite::query},
      {.name = "infinite_query_mask",
       .heads = 4,
       .len_q = 70,
       .len_k = 140,
       .head_dim = 64,
       .mask = Mask::random,
       .empty_row = EmptyRow::uniform,
       .infinite = Infinite::query},
      {.name = "infinite_query_softcap",
       .softcap = 2,
       .left = 3,
       .right = 5,
       .infinite = Infinite::query},
      {.name = "infinite_query_bias",
       .bias = Bias::infinite,
       .dropout = 0.3,
       .infinite = Infinite::query},
      {.name = "infinite_query_sink",
       .mask = Mask::random_shared,
       .sink = Sink::some_infinite,
       .infinite = Infinite::query},
      {.name = "infinite_query_decode",
       .heads = 4,
       .heads_kv = 2,
       .len_q = 1,
       .len_k = 1500,
       .lengths = Lengths::some,
       .infinite = Infinite::query},
      {.name = "infinite_key", .infinite = Infinite::key},
      {.name = "infinite_key_causal",
       .len_q = 60,
       .len_k = 50,
       .causal = Causal::bottom_right,
       .lengths = Lengths::some,
       .infinite = Infinite::key},
      {.name = "infinite_key_decode",
       .heads = 4,
       .heads_kv = 1,
       .len_q = 2,
       .len_k = 600,
       .infinite = Infinite::key},
  };
}

}  // namespace

Case random_case(std::uint64_t seed) {
  Draw draw(seed);
  const auto pick = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[draw.below(static_cast<Index>(sizeof...(values)))];
  };
  Case c;
  c.name = "random_" + std::to_string(seed);
  c.seed = seed;
  c.batch = pick(1, 1, 2, 3);
  c.heads_kv = pick(1, 1, 2, 3);
  c.heads = c.heads_kv * pick(1, 1, 2, 4);
  c.len_q = pick(1, 1, 2, 7, 16, 33, 70, 130);
  c.len_k = pick(1, 2, 5, 16, 31, 64, 65, 150, 257);
  c.head_dim = pick(1, 3, 8, 16, 31, 32, 40, 64);
  c.head_dim_v = pick(0, 0, 0, 1, 5, 24, 48);
  c.scale = pick(0., 0., 0., 0.3, -0.2);
  c.softcap = pick(0., 0., 0., 1.5, 30.);
  if (draw.chance(0.4)) c.bias = static_cast<Bias>(draw.below(kBiases));
  c.alibi = pick(Alibi::none, Alibi::none, Alibi::per_head, Alibi::per_batch_and_head);
  if (draw.chance(0.5)) c.mask = static_cast<Mask>(draw.below(kMasks));
  c.causal = pick(Causal::none, Causal::none, Causal::top_left, Causal::bottom_right,
                  Causal::bottom_right, Causal::offset);
  if (c.causal == Causal::offset) {
    for (Index b = 0; b < c.batch; ++b)
      c.offset.push_back(pick(-3, 0, 4, 40, 1000, -1000) + draw.below(9));
    if (draw.chance(0.3)) c.offset.resize(1);
  }
  c.left = pick(-1, -1, -1, 0, 3, 20, 100);
  c.right = pick(-1, -1, -1, 0, 2, 50);
  c.lengths = pick(Lengths::none, Lengths::none, Lengths::some, Lengths::with_zero);
  c.sink = pick(Sink::none, Sink::none, Sink::finite, Sink::some_infinite);
  c.dropout = pick(0., 0., 0., 0.1, 0.5, 1.);
  c.empty_row = pick(EmptyRow::zero, EmptyRow::uniform);
  c.layout = static_cast<Layout>(draw.below(kLayouts));
  return c;
}

std::vector<Case> cases() {
  std::vector<Case> list = {
      {.name = "plain"},
      // Lengths that do and don't fill tiles.
      {.name = "len_1_1", .len_q = 1, .len_k = 1},
      {.name = "len_1_256", .len_q = 1, .len_k = 256},
      {.name = "len_113_203", .len_q = 113, .len_k = 203, .head_dim = 64},
      {.name = "len_113_203_causal", .len_q = 113, .len_k = 203, .causal = Causal::bottom_right},
      {.name = "len_203_113_causal", .len_q = 203, .len_k = 113, .causal = Causal::bottom_right},
      {.name = "len_128_217", .heads = 4, .len_q = 128, .len_k = 217, .causal = Causal::top_left},
      {.name = "len_108_256", .len_q = 108, .len_k = 256, .layout = Layout::packed},
      {.name = "len_256_512", .batch = 1, .len_q = 256, .len_k = 512, .head_dim = 64},
      {.name = "len_64_64", .len_q = 64, .len_k = 64, .head_dim = 64},
      {.name = "len_64_128_tiles",
       .len_q = 64,
       .len_k = 128,
       .head_dim = 64,
       .causal = Causal::top_left,
       .layout = Layout::heads_inside},
      // Decoding: few queries, long caches.
      {.name = "decode",
       .heads = 4,
       .heads_kv = 1,
       .len_q = 1,
       .len_k = 3000,
       .causal = Causal::bottom_right,
       .lengths = Lengths::some},
      {.name = "decode_3",
       .batch = 1,
       .heads = 2,
       .heads_kv = 2,
       .len_q = 3,
       .len_k = 2049,
       .causal = Causal::bottom_right},
      {.name = "decode_dropout", .batch = 1, .len_q = 1, .len_k = 1500, .dropout = 0.3},
      {.name = "decode_window",
       .batch = 3,
       .heads = 8,
       .heads_kv = 2,
       .len_q = 2,
       .len_k = 900,
       .causal = Causal::bottom_right,
       .left = 100,
       .lengths = Lengths::with_zero,
       .sink = Sink::finite},
      // Head dims.
      {.name = "d_1", .head_dim = 1},
      {.name = "d_40", .head_dim = 40},
      {.name = "d_59", .head_dim = 59},
      {.name = "d_80", .head_dim = 80, .layout = Layout::heads_inside},
      {.name = "d_96", .head_dim = 96},
      {.name = "d_111", .head_dim = 111, .layout = Layout::padded},
      {.name = "d_128", .len_q = 65, .len_k = 130, .head_dim = 128},
      {.name = "d_192_128", .head_dim = 192, .head_dim_v = 128},
      {.name = "d_256", .head_dim = 256},
      {.name = "d_512", .batch = 1, .head_dim = 512},
      {.name = "d_24_e_64", .head_dim = 24, .head_dim_v = 64},
      {.name = "d_64_e_1", .head_dim = 64, .head_dim_v = 1},
      // Each part alone.
      {.name = "scale", .scale = 0.5},
      {.name = "scale_negative", .scale = -0.25},
      {.name = "softcap", .softcap = 2, .bias = Bias::full},
      {.name = "bias_full", .bias = Bias::full},
      {.name = "bias_shared", .bias = Bias::shared, .layout = Layout::padded},
      {.name = "bias_per_head", .bias = Bias::per_head},
      {.name = "bias_per_query", .bias = Bias::per_query},
      {.name = "bias_infinite", .bias = Bias::infinite, .empty_row = EmptyRow::uniform},
      {.name = "bias_lowest", .bias = Bias::lowest, .causal = Causal::bottom_right},
      {.name = "bias_great", .bias = Bias::great},
      {.name = "alibi", .len_q = 40, .alibi = Alibi::per_head},
      {.name = "alibi_batch_causal",
       .alibi = Alibi::per_batch_and_head,
       .causal = Causal::bottom_right},
      {.name = "mask_padding", .batch = 3, .mask = Mask::padding},
      {.name = "mask_padding_shared", .mask = Mask::padding_shared},
      {.name = "mask_random", .len_q = 70, .len_k = 140, .mask = Mask::random},
      {.name = "mask_random_shared", .mask = Mask::random_shared, .layout = Layout::column_major},
      {.name = "mask_random_per_head", .mask = Mask::random_per_head},
      {.name = "mask_random_per_query", .mask = Mask::random_per_query},
      {.name = "mask_rows_uniform", .mask = Mask::random_per_query, .empty_row = EmptyRow::uniform},
      {.name = "mask_nothing", .mask = Mask::nothing},
      {.name = "mask_nothing_uniform",
       .mask = Mask::nothing,
       .lengths = Lengths::some,
       .empty_row = EmptyRow::uniform},
      {.name = "mask_nothing_sink",
       .mask = Mask::nothing,
       .sink = Sink::some_infinite,
       .empty_row = EmptyRow::uniform},
      {.name = "causal_top_left", .len_q = 100, .len_k = 90, .causal = Causal::top_left},
      {.name = "causal_offset",
       .batch = 3,
       .len_q = 40,
       .len_k = 90,
       .causal = Causal::offset,
       .offset = {-10, 30, 200}},
      {.name = "causal_offset_far",
       .batch = 3,
       .causal = Causal::offset,
       .offset = {Index{1} << 31, -(Index{1} << 31), 0},
       .left = Index{1} << 62},
      {.name = "causal_lengths",
       .batch = 4,
       .len_q = 33,
       .causal = Causal::bottom_right,
       .lengths = Lengths::with_zero},
      {.name = "window", .len_q = 80, .len_k = 120, .left = 10, .right = 5},
      {.name = "window_left", .len_q = 80, .len_k = 120, .left = 33},
      {.name = "window_right_only", .len_q = 80, .len_k = 70, .right = 3},
      {.name = "window_causal",
       .len_q = 120,
       .len_k = 120,
       .causal = Causal::top_left,
       .left = 17,
       .right = 8},
      {.name = "window_zero", .len_q = 40, .len_k = 40, .left = 0, .right = 0},
      {.name = "window_vast", .left = Index{1} << 62, .right = Index{1} << 62},
      {.name = "lengths", .batch = 4, .len_k = 100, .lengths = Lengths::with_zero},
      {.name = "lengths_uniform",
       .batch = 4,
       .len_q = 50,
       .causal = Causal::bottom_right,
       .lengths = Lengths::with_zero,
       .empty_row = EmptyRow::uniform},
      {.name = "sink", .sink = Sink::finite},
      {.name = "sink_infinite", .causal = Causal::bottom_right, .sink = Sink::some_infinite},
      {.name = "gqa", .heads = 6, .heads_kv = 2, .len_q = 40},
      {.name = "mqa", .heads = 8, .heads_kv = 1, .causal = Causal::bottom_right},
      {.name = "dropout", .len_q = 50, .len_k = 77, .dropout = 0.25},
      {.name = "dropout_causal",
       .heads = 4,
       .heads_kv = 2,
       .len_q = 90,
       .len_k = 90,
       .causal = Causal::top_left,
       .dropout = 0.1},
      {.name = "dropout_uniform",
       .mask = Mask::random_per_query,
       .dropout = 0.5,
       .empty_row = EmptyRow::uniform},
      {.name = "dropout_all", .dropout = 1},
      // Layouts that the others leave out.
      {.name = "layout_reversed", .len_q = 70, .layout = Layout::reversed},
      {.name = "layout_column_major", .len_q = 70, .layout = Layout::column_major},
      {.name = "layout_gapped", .len_q = 70, .layout = Layout::gapped},
      {.name = "layout_repeated", .batch = 3, .mask = Mask::padding, .layout = Layout::repeated},
      // Nothing there.
      {.name = "no_batch", .batch = 0},
      {.name = "no_heads", .heads = 0, .heads_kv = 0},
      {.name = "no_query_heads", .heads = 0, .heads_kv = 2},
      {.name = "no_queries", .len_q = 0},
      {.name = "no_keys", .len_k = 0},
      {.name = "no_keys_uniform", .len_k = 0, .empty_row = EmptyRow::uniform},
      {.name = "no_keys_sink", .len_k = 0, .sink = Sink::finite},
  };
  for (std::uint64_t seed = 1; seed <= 60; ++seed) list.push_back(random_case(seed));
  for (const Case& c : infinite_cases()) list.push_back(c);
  // New ones last: a case's numbers and types come from its place.
  list.push_back({.name = "bias_of_a_batch", .batch = 8, .len_q = 70, .bias = Bias::shared});
  list.push_back({.name = "decode_group",
                  .heads = 5,
                  .heads_kv = 1,
                  .len_q = 1,
                  .len_k = 1001,
                  .head_dim = 72,
                  .head_dim_v = 40,
                  .mask = Mask::random});
  // Lanes that are no queries: their scores grow, too.
  list.push_back({.name = "alibi_growing", .len_q = 15, .len_k = 213, .alibi = Alibi::growing});
  // Some rows have all their weight in one key, to the last bit.
  list.push_back(
      {.name = "peaked", .heads = 4, .heads_kv = 4, .len_q = 8, .len_k = 8, .scale = 0.7});
  list.push_back({.name = "peaked_decode", .len_q = 1, .len_k = 96, .scale = 0.7});
  // Head dims that devices have kernels of their own for, in each of three types.
  for (const Index d : {260, 300, 289})
    list.push_back({.name = "wide_" + std::to_string(d),
                    .len_q = 20,
                    .len_k = 70,
                    .head_dim = d,
                    .head_dim_v = 270,
                    .causal = Causal::bottom_right});
  // More keys than one split has, for more rows than decoding has.
  list.push_back({.name = "splits",
                  .heads = 4,
                  .len_q = 11,
                  .len_k = 2100,
                  .head_dim_v = 24,
                  .mask = Mask::random_per_query,
                  .lengths = Lengths::with_zero});
  list.push_back({.name = "splits_uniform",
                  .batch = 1,
                  .len_q = 20,
                  .len_k = 1100,
                  .mask = Mask::random_per_query,
                  .sink = Sink::some_infinite,
                  .empty_row = EmptyRow::uniform});
  list.push_back({.name = "splits_infinite_key",
                  .batch = 1,
                  .len_q = 18,
                  .len_k = 1300,
                  .causal = Causal::bottom_right,
                  .infinite = Infinite::key});
  // Masks that hide whole tiles of keys.
  list.push_back({.name = "mask_documents",
                  .batch = 1,
                  .heads = 4,
                  .heads_kv = 2,
                  .len_q = 300,
                  .len_k = 300,
                  .mask = Mask::documents});
  list.push_back({.name = "mask_documents_uniform",
                  .len_q = 200,
                  .len_k = 520,
                  .head_dim = 32,
                  .mask = Mask::documents,
                  .causal = Causal::bottom_right,
                  .lengths = Lengths::some,
                  .empty_row = EmptyRow::uniform});
  list.push_back({.name = "mask_documents_decode",
                  .heads = 6,
                  .heads_kv = 2,
                  .len_q = 3,
                  .len_k = 2500,
                  .mask = Mask::documents,
                  .infinite = Infinite::key});
  // Head dims that devices have kernels of their own for.
  list.push_back({.name = "d_32", .len_q = 200, .len_k = 230, .head_dim = 32});
  list.push_back({.name = "d_32_variant",
                  .heads = 4,
                  .heads_kv = 2,
                  .len_q = 130,
                  .len_k = 150,
                  .head_dim = 30,
                  .head_dim_v = 20,
                  .softcap = 3,
                  .bias = Bias::full,
                  .alibi = Alibi::per_head,
                  .mask = Mask::random,
                  .dropout = 0.2,
                  .layout = Layout::heads_inside});
  std::uint64_t seed = 0;
  for (Case& c : list) c.seed = ++seed;
  return list;
}

std::vector<Case> long_cases() {
  std::vector<Case> list;
  const std::pair<Index, Index> lengths[] = {{1, 1},     {1, 1024},    {3, 799},
                                             {113, 203}, {128, 217},   {108, 256},
                                             {256, 512}, {1023, 1024}, {1024, 1023}};
  for (const auto& [len_q, len_k] : lengths) {
    for (const Index d : {32, 40, 59, 64, 80, 96, 111, 128, 192, 256}) {
      for (const Causal causal : {Causal::none, Causal::bottom_right}) {
        for (const Index left : {Index{-1}, Index{70}}) {
          for (const double dropout : {0., 0.17}) {
            const std::string name = "long_" + std::to_string(list.size());
            const std::uint64_t n = list.size();
            list.push_back({.name = name,
                            .batch = 1,
                            .heads = 2,
                            .heads_kv = n % 2 ? 1 : 2,
                            .len_q = len_q,
                            .len_k = len_k,
                            .head_dim = d,
                            .causal = causal,
                            .left = left,
                            .dropout = dropout,
                            .layout = static_cast<Layout>(n % 7),
                            .seed = n});
          }
        }
      }
    }
  }
  for (std::uint64_t seed = 1000; seed < 3000; ++seed) list.push_back(random_case(seed));
  return list;
}

}  // namespace support
