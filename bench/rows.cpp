#include <iterator>
#include <stdexcept>
#include <utility>

#include "row.hpp"

namespace bench {
namespace {

using attend::Dtype;
using attend::Problem;

constexpr Dtype kDtypes[] = {Dtype::f32, Dtype::f16, Dtype::bf16};

std::string text(std::int64_t number) { return std::to_string(number); }

Problem square(std::int64_t heads, std::int64_t len, std::int64_t head_dim, Dtype dtype) {
  return {.heads = heads,
          .heads_kv = heads,
          .len_q = len,
          .len_k = len,
          .head_dim = head_dim,
          .head_dim_v = head_dim,
          .dtype = dtype};
}

// Real tensors: 8 sentences padded to 46 tokens, and one passage of 512.
std::vector<Row> minilm() {
  std::vector<Row> rows;
  for (const Dtype dtype : kDtypes) {
    Problem sentences = square(12, 46, 32, dtype);
    sentences.batch = 8;
    const std::string prefix = std::string("minilm/") + name(dtype);
    rows.push_back({.name = prefix + "/sentences",
                    .problem = sentences,
                    .mask = Mask::padding,
                    .recorded = "sentences.layer0"});
    rows.push_back({.name = prefix + "/passage",
                    .problem = square(12, 512, 32, dtype),
                    .mask = Mask::padding,
                    .recorded = "passage.layer3"});
  }
  return rows;
}

// Recurrent Interface Network (Jabri, Fleet, Chen, 2022): 256 latents read the patches, compute,
// and are read by the patches.
std::vector<Row> recurrent_interface() {
  constexpr std::int64_t kLatents = 256;
  struct Step {
    const char* name;
    std::int64_t len_q, len_k;
  };
  constexpr Step kSteps[] = {{"read1024", kLatents, 1024},
                             {"read4096", kLatents, 4096},
                             {"self", kLatents, kLatents},
                             {"write1024", 1024, kLatents},
                             {"write4096", 4096, kLatents}};
  std::vector<Row> rows;
  for (const std::int64_t heads : {8, 16}) {
    for (const Step& step : kSteps) {
      for (const Mask mask : {Mask::none, Mask::padding}) {
        Problem problem = square(heads, step.len_q, 32, Dtype::f32);
        problem.batch = 2;
        problem.len_k = step.len_k;
        rows.push_back({.name = "rin/h" + text(heads) + "/" + step.name +
                                (mask == Mask::padding ? "/padding" : ""),
                        .problem = problem,
                        .mask = mask,
                        .layout = Layout::heads_inner});
      }
    }
  }
  return rows;
}

// The grid of the FlashAttention papers (Dao, 2023): the number of tokens times heads is fixed.
std::vector<Row> grid() {
  std::vector<Row> rows;
  for (const Dtype dtype : kDtypes)
    for (const std::int64_t head_dim : {64, 128})
      for (const std::int64_t len : {512, 1024, 2048, 4096})
        for (const bool causal : {false, true})
          rows.push_back({.name = std::string("grid/") + name(dtype) + "/d" + text(head_dim) +
                                  "/n" + text(len) + (causal ? "/causal" : ""),
                          .problem = square(8192 / len, len, head_dim, dtype),
                          .causal = causal});
  for (const std::int64_t head_dim : {64, 128})
    for (const bool causal : {false, true})
      rows.push_back({.name = "grid/f64/d" + text(head_dim) + "/n1024" + (causal ? "/causal" : ""),
                      .problem = square(8, 1024, head_dim, Dtype::f64),
                      .causal = causal});
  return rows;
}

// One new token over a cache of 8 key heads.
std::vector<Row> decoding() {
  std::vector<Row> rows;
  for (const Dtype dtype : kDtypes) {
    for (const std::int64_t group : {1, 4}) {
      for (const std::int64_t cache : {1, 4, 8, 32}) {
        Problem problem = square(8 * group, 1024 * cache, 128, dtype);
        problem.heads_kv = 8;
        problem.len_q = 1;
        rows.push_back({.name = std::string("decode/") + name(dtype) + "/gqa" + text(group) + "/" +
                                text(cache) + "k",
                        .problem = problem});
      }
    }
  }
  return rows;
}

// What each thing that a call can be asked for costs, at one shape.
std::vector<Row> asked() {
  const Problem problem = square(8, 1024, 64, Dtype::f32);
  const std::pair<const char*, Mask> masks[] = {
      {"nothing", Mask::none}, {"padding", Mask::padding}, {"mask", Mask::full}};
  const std::pair<const char*, Extra> extras[] = {
      {"bias", Extra::bias},       {"alibi", Extra::alibi}, {"window", Extra::window},
      {"softcap", Extra::softcap}, {"sink", Extra::sink},   {"dropout", Extra::dropout}};
  std::vector<Row> rows;
  for (const auto& [name, mask] : masks)
    rows.push_back({.name = std::string("ask/") + name, .problem = problem, .mask = mask});
  for (const auto& [name, extra] : extras)
    rows.push_back({.name = std::string("ask/") + name, .problem = problem, .extra = extra});
  const auto backward = [&](const char* name, Mask mask, Extra extra) {
    rows.push_back({.name = std::string("ask/backward/") + name,
                    .problem = problem,
                    .pass = Pass::backward,
                    .mask = mask,
                    .extra = extra});
  };
  backward("nothing", Mask::none, Extra::none);
  backward("mask", Mask::full, Extra::none);
  backward("bias", Mask::none, Extra::bias);
  return rows;
}

// What is built in beside functions of the user's that do the same.
std::vector<Row> functions() {
  struct Change {
    const char* name;
    bool causal;
    Extra extra;
  };
  std::vector<Row> rows;
  for (const Change& change :
       {Change{"causal", true, Extra::none}, Change{"alibi", false, Extra::alibi},
        Change{"softcap", false, Extra::softcap}})
    for (const Pass pass : {Pass::forward, Pass::backward})
      for (const bool functions : {false, true})
        rows.push_back({.name = std::string("function/") + change.name +
                                (pass == Pass::forward ? "/forward/" : "/backward/") +
                                (functions ? "function" : "built_in"),
                        .problem = square(8, 1024, 64, Dtype::f32),
                        .pass = pass,
                        .causal = change.causal,
                        .extra = change.extra,
                        .functions = functions});
  return rows;
}

// Gradients by q, k and v.
std::vector<Row> gradients() {
  std::vector<Row> rows;
  for (const Dtype dtype : kDtypes)
    for (const std::int64_t head_dim : {64, 128})
      for (const bool causal : {false, true})
        rows.push_back({.name = std::string("backward/") + name(dtype) + "/d" + text(head_dim) +
                                "/n1024" + (causal ? "/causal" : ""),
                        .problem = square(4, 1024, head_dim, dtype),
                        .pass = Pass::backward,
                        .causal = causal});
  return rows;
}

}  // namespace

std::vector<Row> all_rows() {
  std::vector<Row> all;
  for (const auto& group :
       {minilm(), recurrent_interface(), grid(), decoding(), asked(), functions(), gradients()})
    all.insert(all.end(), group.begin(), group.end());
  return all;
}

attend::Dtype dtype_of(const std::string& name) {
  for (const Dtype dtype : kDtypes)
    if (name == attend::name(dtype)) return dtype;
  throw std::invalid_argument("no element type '" + name + "'; there are f32, f16 and bf16");
}

}  // namespace bench
