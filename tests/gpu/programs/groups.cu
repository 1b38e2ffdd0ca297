// Cooperative groups: tiles, coalesced threads, reduction, and a grid that synchronises.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>

#include "support.cuh"

namespace cg = cooperative_groups;

__global__ void tiles_kernel(const int* values, int* sums, int* scans, int* odd_ranks) {
  cg::thread_block block = cg::this_thread_block();
  auto tile = cg::tiled_partition<8>(block);
  unsigned i = block.thread_rank();
  int value = values[i];
  sums[i] = cg::reduce(tile, value, cg::plus<int>());
  scans[i] = cg::inclusive_scan(tile, value, cg::plus<int>());
  odd_ranks[i] = -1;
  if (value % 2 != 0) {
    cg::coalesced_group odd = cg::coalesced_threads();
    odd_ranks[i] = int(odd.thread_rank()) * 100 + int(odd.size());
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
    std::vector<int> expected_sums(count), expected_scans(count), expected_ranks(count, -1);
    for (int tile = 0; tile < count; tile += 8) {
      int sum = 0;
      for (int i = tile; i < tile + 8; ++i) expected_scans[i] = sum += values[i];
      for (int i = tile; i < tile + 8; ++i) expected_sums[i] = sum;
    }
    for (int warp = 0; warp < count; warp += 32) {
      int odd = 0;
      for (int i = warp; i < warp + 32; ++i) {
        if (values[i] % 2 != 0) expected_ranks[i] = 100 * odd++;
      }
      for (int i = warp; i < warp + 32; ++i) {
        if (values[i] % 2 != 0) expected_ranks[i] += odd;
      }
    }
    DeviceArray<int> device(values), sums(count), scans(count), ranks(count);
    tiles_kernel<<<1, count>>>(device.data(), sums.data(), scans.data(), ranks.data());
    check_launch();
    return difference(sums.to_host(), expected_sums) + difference(scans.to_host(), expected_scans) +
           difference(ranks.to_host(), expected_ranks);
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
