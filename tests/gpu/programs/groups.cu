// Cooperative groups: tiles, coalesced threads, reduction, and a grid that synchronises.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>

#include "support.cuh"

namespace cg = cooperative_groups;

__global__ void tiles_kernel(const int* values, int* sums, int* scans, int* odd_count) {
  cg::thread_block block = cg::this_thread_block();
  auto tile = cg::tiled_partition<8>(block);
  unsigned i = block.thread_rank();
  int value = values[i];
  sums[i] = cg::reduce(tile, value, cg::plus<int>());
  scans[i] = cg::inclusive_scan(tile, value, cg::plus<int>());
  if (value % 2 != 0) {
    // Which of these threads are together isn't said; that each is in one group is.
    cg::coalesced_group odd = cg::coalesced_threads();
    if (odd.thread_rank() == 0) atomicAdd(odd_count, int(odd.size()));
  }
  block.sync();
}

// Each round every block adds what its neighbour had before.
__global__ void grid_kernel(int* values, int rounds) {
  cg::grid_group grid = cg::this_grid();
  unsigned i = unsigned(grid.thread_rank()), count = unsigned(grid.num_threads());
  for (int round = 0; round < rounds; ++round) {
    int neighbour = values[(i + blockDim.x) % count];
    grid.sync();
    values[i] += neighbour;
    grid.sync();
  }
}

namespace programs {

Outcome cooperative_groups_tiles() {
  return guarded([] {
    const int count = 96;
    Random random(9);
    auto values = make_vector<int>(count, [&] { return int(random.below(1000)); });
    std::vector<int> expected_sums(count), expected_scans(count), expected_odd(1);
    for (int value : values) expected_odd[0] += value % 2;
    for (int tile = 0; tile < count; tile += 8) {
      int sum = 0;
      for (int i = tile; i < tile + 8; ++i) expected_scans[i] = sum += values[i];
      for (int i = tile; i < tile + 8; ++i) expected_sums[i] = sum;
    }
    DeviceArray<int> device(values), sums(count), scans(count), odd(1);
    odd.zero();
    tiles_kernel<<<1, count>>>(device.data(), sums.data(), scans.data(), odd.data());
    check_launch();
    return difference(sums.to_host(), expected_sums) + difference(scans.to_host(), expected_scans) +
           difference(odd.to_host(), expected_odd);
  });
}

Outcome cooperative_groups_grid() {
  return guarded([] {
    const int threads = 32, blocks = 6, rounds = 4, count = threads * blocks;
    Random random(10);
    auto values = make_vector<int>(count, [&] { return int(random.below(1000)); });
    std::vector<int> expected = values;
    for (int round = 0; round < rounds; ++round) {
      std::vector<int> before = expected;
      for (int i = 0; i < count; ++i) expected[i] += before[(i + threads) % count];
    }
    DeviceArray<int> device(values);
    int* data = device.data();
    int rounds_argument = rounds;
    void* arguments[] = {&data, &rounds_argument};
    check(cudaLaunchCooperativeKernel(reinterpret_cast<const void*>(&grid_kernel), dim3(blocks),
                                      dim3(threads), arguments, 0, nullptr));
    check_launch();
    return difference(device.to_host(), expected);
  });
}

}  // namespace programs
