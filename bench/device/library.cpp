#include "library.hpp"

#include <attend/attend.hpp>
#include <attend/cuda.hpp>
#include <exception>
#include <optional>
#include <string>

namespace {

using attend::Path;

std::optional<Path> path_of(std::int32_t path) {
  switch (path) {
    case 1:
      return Path::math;
    case 2:
      return Path::mem_efficient;
    case 3:
      return Path::flash;
    default:
      return std::nullopt;
  }
}

template <class T>
Path run(const AttendDeviceCall& given, std::int32_t count) {
  using attend::cuda::view;
  const attend::Extents<4> queries{given.batch, given.heads, given.len_q, given.head_dim};
  const attend::Extents<4> keys{given.batch, given.heads_kv, given.len_k, given.head_dim};
  const auto in = [](const void* data, const attend::Extents<4>& extents) {
    return view(static_cast<const T*>(data), extents);
  };
  const auto to = [](void* data, const attend::Extents<4>& extents) {
    return view(static_cast<T*>(data), extents);
  };
  const auto lse = view(given.lse, attend::Extents<3>{given.batch, given.heads, given.len_q});

  const auto stream = attend::cuda::Stream::borrowed(static_cast<cudaStream_t>(given.stream));
  attend::Call<T> call{.path = path_of(given.path), .stream = stream};
  if (given.causal != 0) call.causal = attend::Causal::bottom_right;
  if (given.padding != nullptr)
    call.mask = view(reinterpret_cast<const bool*>(given.padding),
                     attend::Extents<2>{given.batch, given.len_k});
  if (given.mask != nullptr)
    call.mask = view(reinterpret_cast<const bool*>(given.mask),
                     attend::Extents<4>{1, 1, given.len_q, given.len_k});
  if (given.bias != nullptr)
    call.bias = view(given.bias, attend::Extents<4>{1, given.heads, given.len_q, given.len_k});
  call.rng = attend::Rng{.seed = 7, .offset = 0};

  const attend::Attend<T> attention{{.dropout = given.dropout, .flash = true}};
  const auto q = in(given.q, queries), k = in(given.k, keys), v = in(given.v, keys);
  attend::Run ran;
  for (; count > 0; --count) {
    if (given.backward == 0) {
      ran = attention.forward_into(to(given.out, queries), lse, q, k, v, call);
    } else {
      attend::Run saved;
      saved.rng = *call.rng;
      saved.dropout = given.dropout;
      ran = attention.backward_into(
          {.dq = to(given.dq, queries), .dk = to(given.dk, keys), .dv = to(given.dv, keys)},
          in(given.grad_out, queries), {saved, in(given.out, queries), lse}, q, k, v, call);
    }
  }
  return ran.path;
}

}  // namespace

const char* attend_device_run(const AttendDeviceCall* call, std::int32_t count) {
  thread_local std::string answer;
  try {
    switch (call->dtype) {
      case 0:
        answer = attend::name(run<float>(*call, count));
        break;
      case 1:
        answer = attend::name(run<Eigen::half>(*call, count));
        break;
      default:
        answer = attend::name(run<Eigen::bfloat16>(*call, count));
    }
  } catch (const std::exception& error) {
    answer = std::string("error: ") + error.what();
  }
  return answer.c_str();
}
