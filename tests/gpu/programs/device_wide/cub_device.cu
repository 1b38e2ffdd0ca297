// CUB's device-wide algorithms.
#include <algorithm>
#include <cub/device/device_histogram.cuh>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_reduce.cuh>
#include <cub/device/device_scan.cuh>
#include <cub/device/device_select.cuh>
#include <numeric>

#include "../support.cuh"

namespace programs {
namespace {

// Calls `algorithm(storage, bytes)` twice, as CUB wants it: once for the size, once for the work.
template <typename Algorithm>
void with_storage(Algorithm&& algorithm) {
  size_t bytes = 0;
  check(algorithm(nullptr, bytes));
  DeviceArray<unsigned char> storage(std::max<size_t>(bytes, 1));
  check(algorithm(storage.data(), bytes));
  check_launch();
}

struct IsOdd {
  __host__ __device__ bool operator()(int value) const { return value % 2 != 0; }
};

}  // namespace

Outcome cub_device_reduce() {
  return guarded([] {
    Random random(15);
    auto values = make_vector<int>(20011, [&] { return int(random.below(2000)) - 1000; });
    DeviceArray<int> in(values), sum(1), least(1);
    with_storage([&](void* storage, size_t& bytes) {
      return cub::DeviceReduce::Sum(storage, bytes, in.data(), sum.data(), int(values.size()));
    });
    with_storage([&](void* storage, size_t& bytes) {
      return cub::DeviceReduce::Min(storage, bytes, in.data(), least.data(), int(values.size()));
    });
    int expected = std::accumulate(values.begin(), values.end(), 0);
    return difference(sum.to_host(), std::vector<int>{expected}) +
           difference(least.to_host(),
                      std::vector<int>{*std::min_element(values.begin(), values.end())});
  });
}

Outcome cub_device_scan() {
  return guarded([] {
    Random random(16);
    auto values = make_vector<int>(9001, [&] { return int(random.below(100)); });
    std::vector<int> expected(values.size());
    std::inclusive_scan(values.begin(), values.end(), expected.begin());
    DeviceArray<int> in(values), out(values.size());
    with_storage([&](void* storage, size_t& bytes) {
      return cub::DeviceScan::InclusiveSum(storage, bytes, in.data(), out.data(),
                                           int(values.size()));
    });
    return difference(out.to_host(), expected);
  });
}

Outcome cub_device_sort() {
  return guarded([] {
    Random random(17);
    auto keys = make_vector<unsigned>(6007, [&] { return random.bits() >> 12; });
    std::vector<unsigned> order(keys.size());
    std::iota(order.begin(), order.end(), 0u);
    std::vector<unsigned> expected_order = order;
    std::stable_sort(expected_order.begin(), expected_order.end(),
                     [&](unsigned a, unsigned b) { return keys[a] < keys[b]; });
    std::vector<unsigned> expected_keys(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) expected_keys[i] = keys[expected_order[i]];
    DeviceArray<unsigned> in(keys), values(order), out(keys.size()), out_values(keys.size());
    with_storage([&](void* storage, size_t& bytes) {
      return cub::DeviceRadixSort::SortPairs(storage, bytes, in.data(), out.data(), values.data(),
                                             out_values.data(), int(keys.size()));
    });
    return difference(out.to_host(), expected_keys) +
           difference(out_values.to_host(), expected_order);
  });
}

Outcome cub_device_select() {
  return guarded([] {
    Random random(18);
    auto values = make_vector<int>(7003, [&] { return int(random.below(1000)); });
    std::vector<int> expected;
    std::copy_if(values.begin(), values.end(), std::back_inserter(expected), IsOdd{});
    DeviceArray<int> in(values), out(values.size()), count(1);
    with_storage([&](void* storage, size_t& bytes) {
      return cub::DeviceSelect::If(storage, bytes, in.data(), out.data(), count.data(),
                                   int(values.size()), IsOdd{});
    });
    size_t selected = size_t(count.to_host()[0]);
    if (selected != expected.size()) return std::numeric_limits<double>::infinity();
    std::vector<int> got(selected);
    check(cudaMemcpy(got.data(), out.data(), selected * sizeof(int), cudaMemcpyDeviceToHost));
    return difference(got, expected);
  });
}

Outcome cub_device_histogram() {
  return guarded([] {
    Random random(19);
    auto values = make_vector<float>(8009, [&] { return random.uniform(); });
    const int bins = 16;
    std::vector<int> expected(bins);
    for (float value : values) {
      int bin = int(std::floor((value + 1.0f) * 8.0f));
      if (bin >= 0 && bin < bins) ++expected[bin];
    }
    DeviceArray<float> in(values);
    DeviceArray<int> histogram(bins);
    with_storage([&](void* storage, size_t& bytes) {
      return cub::DeviceHistogram::HistogramEven(storage, bytes, in.data(), histogram.data(),
                                                 bins + 1, -1.0f, 1.0f, int(values.size()));
    });
    return difference(histogram.to_host(), expected);
  });
}

}  // namespace programs
