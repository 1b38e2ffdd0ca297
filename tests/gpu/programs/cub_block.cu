// CUB's block algorithms: loads and stores with transposition, radix sort, scan, reduction.
#include <algorithm>
#include <cub/block/block_load.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/block/block_store.cuh>
#include <numeric>

#include "support.cuh"

constexpr int kCubThreads = 64;
constexpr int kCubItems = 5;
constexpr int kCubCount = kCubThreads * kCubItems;

__global__ void cub_sort_kernel(const int* keys, int* sorted) {
  using Load = cub::BlockLoad<int, kCubThreads, kCubItems, cub::BLOCK_LOAD_TRANSPOSE>;
  using Sort = cub::BlockRadixSort<int, kCubThreads, kCubItems>;
  using Store = cub::BlockStore<int, kCubThreads, kCubItems, cub::BLOCK_STORE_WARP_TRANSPOSE>;
  __shared__ union {
    typename Load::TempStorage load;
    typename Sort::TempStorage sort;
    typename Store::TempStorage store;
  } storage;
  int items[kCubItems];
  Load(storage.load).Load(keys + blockIdx.x * kCubCount, items);
  __syncthreads();
  Sort(storage.sort).Sort(items);
  __syncthreads();
  Store(storage.store).Store(sorted + blockIdx.x * kCubCount, items);
}

__global__ void cub_scan_kernel(const int* values, int count, int* scanned, int* total) {
  using Scan = cub::BlockScan<int, kCubThreads, cub::BLOCK_SCAN_RAKING>;
  using Reduce = cub::BlockReduce<int, kCubThreads, cub::BLOCK_REDUCE_WARP_REDUCTIONS>;
  __shared__ typename Scan::TempStorage scan;
  __shared__ typename Reduce::TempStorage reduce;
  int items[kCubItems];
  cub::LoadDirectBlocked(int(threadIdx.x), values, items, count, 0);
  int sum = Reduce(reduce).Sum(items);
  if (threadIdx.x == 0) *total = sum;
  Scan(scan).ExclusiveSum(items, items);
  cub::StoreDirectBlocked(int(threadIdx.x), scanned, items, count);
}

namespace programs {

Outcome cub_block_sort() {
  return guarded([] {
    const int blocks = 2;
    Random random(13);
    auto keys = make_vector<int>(blocks * kCubCount, [&] { return int(random.bits()); });
    std::vector<int> expected = keys;
    for (int block = 0; block < blocks; ++block) {
      std::sort(expected.begin() + block * kCubCount, expected.begin() + (block + 1) * kCubCount);
    }
    DeviceArray<int> device(keys), sorted(keys.size());
    cub_sort_kernel<<<blocks, kCubThreads>>>(device.data(), sorted.data());
    check_launch();
    return difference(sorted.to_host(), expected);
  });
}

Outcome cub_block_scan() {
  return guarded([] {
    const int count = kCubCount - 17;
    Random random(14);
    auto values = make_vector<int>(count, [&] { return int(random.below(1000)); });
    std::vector<int> expected(count);
    std::exclusive_scan(values.begin(), values.end(), expected.begin(), 0);
    DeviceArray<int> device(values), scanned(count), total(1);
    cub_scan_kernel<<<1, kCubThreads>>>(device.data(), count, scanned.data(), total.data());
    check_launch();
    return difference(scanned.to_host(), expected) +
           difference(total.to_host(), std::vector<int>{expected.back() + values.back()});
  });
}

}  // namespace programs
