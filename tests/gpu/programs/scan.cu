// An inclusive scan in one pass: blocks wait for the sums of earlier blocks (decoupled look-back).
#include "support.cuh"

constexpr int kScanThreads = 128;
// A block's state: its own sum once `kAggregate`, the sum up to and with it once `kPrefix`.
enum ScanFlag : int { kNothing = 0, kAggregate = 1, kPrefix = 2 };

__global__ void scan_kernel(const int* values, int count, int* result, volatile int* flags,
                            volatile int* aggregates, volatile int* prefixes, int* ticket) {
  __shared__ int tile[2][kScanThreads];
  __shared__ int shared_block;
  __shared__ int before;
  int thread = int(threadIdx.x);
  if (thread == 0) shared_block = atomicAdd(ticket, 1);
  __syncthreads();
  int block = shared_block;
  int i = block * kScanThreads + thread;
  int source = 0;
  tile[0][thread] = i < count ? values[i] : 0;
  __syncthreads();
  for (int offset = 1; offset < kScanThreads; offset *= 2) {
    int value = tile[source][thread];
    if (thread >= offset) value += tile[source][thread - offset];
    tile[1 - source][thread] = value;
    source = 1 - source;
    __syncthreads();
  }
  if (thread == 0) {
    int own = tile[source][kScanThreads - 1];
    aggregates[block] = own;
    __threadfence();
    flags[block] = kAggregate;
    int sum = 0;
    for (int earlier = block - 1; earlier >= 0; --earlier) {
      int flag;
      do {
        flag = flags[earlier];
      } while (flag == kNothing);
      __threadfence();
      if (flag == kPrefix) {
        sum += prefixes[earlier];
        break;
      }
      sum += aggregates[earlier];
    }
    prefixes[block] = sum + own;
    __threadfence();
    flags[block] = kPrefix;
    before = sum;
  }
  __syncthreads();
  if (i < count) result[i] = before + tile[source][thread];
}

namespace programs {

Outcome scan() {
  return guarded([] {
    Random random(2);
    auto values = make_vector<int>(3000, [&] { return int(random.below(100)) - 50; });
    std::vector<int> expected(values.size());
    int sum = 0;
    for (size_t i = 0; i < values.size(); ++i) expected[i] = sum += values[i];
    int blocks = (int(values.size()) + kScanThreads - 1) / kScanThreads;
    DeviceArray<int> device(values), result(values.size());
    DeviceArray<int> flags(blocks), aggregates(blocks), prefixes(blocks), ticket(1);
    flags.zero();
    ticket.zero();
    scan_kernel<<<blocks, kScanThreads>>>(device.data(), int(values.size()), result.data(),
                                          flags.data(), aggregates.data(), prefixes.data(),
                                          ticket.data());
    check_launch();
    return difference(result.to_host(), expected);
  });
}

}  // namespace programs
