// Thrust on device vectors.
#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/reduce.h>
#include <thrust/scan.h>
#include <thrust/sort.h>
#include <thrust/system_error.h>

#include <algorithm>
#include <numeric>

#include "../support.cuh"

namespace programs {
namespace {

template <typename Body>
Outcome thrust_guarded(Body&& body) {
  return guarded([&] {
    try {
      return body();
    } catch (const thrust::system_error& error) {
      throw Failure{static_cast<cudaError_t>(error.code().value())};
    }
  });
}

template <typename T>
std::vector<T> to_host(const thrust::device_vector<T>& device) {
  std::vector<T> host(device.size());
  thrust::copy(device.begin(), device.end(), host.begin());
  return host;
}

}  // namespace

Outcome thrust_reduce() {
  return thrust_guarded([] {
    Random random(20);
    auto values = make_vector<int>(5003, [&] { return int(random.below(100)); });
    thrust::device_vector<int> device(values.begin(), values.end());
    int sum = thrust::reduce(device.begin(), device.end());
    return difference(std::vector<int>{sum},
                      std::vector<int>{std::accumulate(values.begin(), values.end(), 0)});
  });
}

Outcome thrust_scan() {
  return thrust_guarded([] {
    Random random(21);
    auto values = make_vector<int>(4001, [&] { return int(random.below(100)); });
    std::vector<int> expected(values.size());
    std::exclusive_scan(values.begin(), values.end(), expected.begin(), 0);
    thrust::device_vector<int> device(values.begin(), values.end());
    thrust::exclusive_scan(device.begin(), device.end(), device.begin());
    return difference(to_host(device), expected);
  });
}

Outcome thrust_sort() {
  return thrust_guarded([] {
    Random random(22);
    auto values = make_vector<int>(3001, [&] { return int(random.bits()); });
    std::vector<int> expected = values;
    std::sort(expected.begin(), expected.end(), std::greater<int>());
    thrust::device_vector<int> device(values.begin(), values.end());
    thrust::sort(device.begin(), device.end(), thrust::greater<int>());
    return difference(to_host(device), expected);
  });
}

}  // namespace programs
