// What python/device_peers.py calls: one attention problem on device memory of the caller's.
#pragma once

#include <cstdint>

extern "C" {

/// A problem and where its tensors lie, row-major without gaps. Addresses are the device's; null:
/// not given. The fields mirror those of class Call in python/device_ours.py.
struct AttendDeviceCall {
  std::int32_t dtype;   ///< 0: float, 1: half, 2: bfloat16
  std::int32_t path;    ///< 0: the library's choice, 1: math, 2: mem_efficient, 3: flash
  std::int32_t causal;  ///< bottom right
  std::int32_t backward;
  double dropout;
  std::int64_t batch, heads, heads_kv, len_q, len_k, head_dim;
  const void *q, *k, *v;               ///< (b h n d)
  const std::uint8_t *padding, *mask;  ///< (b j); (1 1 i j)
  const float* bias;                   ///< (1 h i j)
  void* out;                           ///< (b h i d)
  float* lse;                          ///< (b h i)
  const void* grad_out;                ///< (b h i d)
  void *dq, *dk, *dv;                  ///< backward: of q's, k's and v's shape
  void* stream;                        ///< null: the default stream
};

/// Enqueues it `count` times: the output and its log-sum-exp; or, backward, the gradients, from
/// `out` and `lse`. Returns the path that ran; "error: ..." where none could. The text lives until
/// the thread's next call.
const char* attend_device_run(const AttendDeviceCall* call, std::int32_t count);
}
