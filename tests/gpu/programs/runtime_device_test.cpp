// Devices, launch errors, attributes, memory, symbols.
#include <cmath>
#include <cstring>

#include "gpu/runtime/fatbin.hpp"
#include "runtime_fixture.hpp"

namespace programs {
namespace {

using DeviceTest = RuntimeTest;

TEST_F(DeviceTest, SeveralOfDifferentCapability) {
  if (!emulated()) GTEST_SKIP() << "devices can't be chosen here";
  gpu::RuntimeOptions options = emulation.control()->options();
  options.capabilities = {{8, 0}, {9, 0}};
  emulation.control()->restart(options);
  int count = 0;
  ATTEND_EXPECT_OK(cudaGetDeviceCount(&count));
  EXPECT_EQ(count, 2);
  cudaDeviceProp first, second;
  ATTEND_EXPECT_OK(cudaGetDeviceProperties(&first, 0));
  ATTEND_EXPECT_OK(cudaGetDeviceProperties(&second, 1));
  EXPECT_EQ(first.major * 10 + first.minor, 80);
  EXPECT_EQ(second.major * 10 + second.minor, 90);
  EXPECT_EQ(first.multiProcessorCount, 108);
  EXPECT_EQ(first.sharedMemPerBlockOptin, 163u * 1024);
  EXPECT_EQ(second.sharedMemPerBlockOptin, 227u * 1024);
  ATTEND_EXPECT_CUDA(cudaErrorInvalidDevice, cudaSetDevice(2));

  // Each has its own memory; copies go across.
  int* on_first = upload({1, 2, 3});
  ATTEND_EXPECT_OK(cudaSetDevice(1));
  int* on_second = upload({0, 0, 0});
  ATTEND_EXPECT_OK(cudaMemcpyPeer(on_second, 1, on_first, 0, 3 * sizeof(int)));
  EXPECT_EQ(download(on_second, 3), (std::vector<int>{1, 2, 3}));
  cudaPointerAttributes attributes;
  ATTEND_EXPECT_OK(cudaPointerGetAttributes(&attributes, on_first + 1));
  EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
  EXPECT_EQ(attributes.device, 0);
}

TEST_F(DeviceTest, NoneAtAll) {
  if (!emulated()) GTEST_SKIP() << "devices can't be chosen here";
  gpu::RuntimeOptions options = emulation.control()->options();
  options.capabilities = {};
  emulation.control()->restart(options);
  int count = -1;
  ATTEND_EXPECT_CUDA(cudaErrorNoDevice, cudaGetDeviceCount(&count));
  EXPECT_EQ(count, 0);
  void* data = nullptr;
  ATTEND_EXPECT_CUDA(cudaErrorNoDevice, cudaMalloc(&data, 4));
}

TEST_F(DeviceTest, RefusesWhatADriverRefuses) {
  ATTEND_EXPECT_OK(launch_shaped(1, 1024, 0));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, launch_shaped(1, 1025, 0));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, launch_shaped(1, 0, 0));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, launch_shaped(0, 32, 0));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, launch_shaped(dim3(1, 65536), 32, 0));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, launch_shaped(1, dim3(1, 1, 65), 0));
  // 48 KiB without opting in; the kernel has 1 KiB of its own.
  ATTEND_EXPECT_OK(launch_shaped(1, 32, 47 * 1024));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, launch_shaped(1, 32, 47 * 1024 + 1));
  ATTEND_EXPECT_OK(launch_bounded(64));
  EXPECT_NE(launch_bounded(65), cudaSuccess);
  cudaGetLastError();
  // None of this is a failure of the device.
  ATTEND_EXPECT_OK(launch_shaped(1, 32, 0));
  ATTEND_EXPECT_OK(cudaDeviceSynchronize());
}

TEST_F(DeviceTest, SharedMemoryByOptIn) {
  const void* kernel = shaped_kernel_address();
  cudaFuncAttributes attributes;
  ATTEND_EXPECT_OK(cudaFuncGetAttributes(&attributes, kernel));
  EXPECT_EQ(attributes.sharedSizeBytes, 1024u);
  EXPECT_EQ(attributes.maxThreadsPerBlock, 1024);
  int most = 0;
  ATTEND_EXPECT_OK(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
  const auto attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaFuncSetAttribute(kernel, attribute, most));
  cudaGetLastError();
  ATTEND_EXPECT_OK(cudaFuncSetAttribute(kernel, attribute, most - 1024));
  ATTEND_EXPECT_OK(launch_shaped(1, 32, static_cast<size_t>(most) - 1024));
  ATTEND_EXPECT_OK(cudaDeviceSynchronize());
  int blocks = 0;
  ATTEND_EXPECT_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, 128,
                                                                 static_cast<size_t>(most) - 1024));
  EXPECT_EQ(blocks, 1);
}

TEST_F(DeviceTest, TakesTheImageOfItsCapability) {
  if (!emulated()) GTEST_SKIP() << "devices can't be chosen here";
  ATTEND_EXPECT_CUDA(cudaErrorNoKernelImageForDevice, launch_hopper_only());
  cudaFuncAttributes attributes;
  ATTEND_EXPECT_OK(cudaFuncGetAttributes(&attributes, shaped_kernel_address()));
  EXPECT_EQ(attributes.ptxVersion, 80);
  EXPECT_EQ(attributes.binaryVersion, 80);
  emulation.start({8, 6}, 1);
  ATTEND_EXPECT_OK(cudaFuncGetAttributes(&attributes, shaped_kernel_address()));
  EXPECT_EQ(attributes.ptxVersion, 80);
  EXPECT_EQ(attributes.binaryVersion, 86);
  emulation.start({12, 0}, 1);
  ATTEND_EXPECT_OK(launch_hopper_only());
  ATTEND_EXPECT_OK(cudaDeviceSynchronize());
}

TEST(ChooseImage, FollowsTheDriversRules) {
  using gpu::runtime::Image;
  auto ptx = [](gpu::Capability capability, Image::Reach reach) {
    return Image{Image::Kind::ptx, capability, reach, false, ""};
  };
  const std::vector<Image> images{
      ptx({8, 0}, Image::Reach::upwards),
      ptx({9, 0}, Image::Reach::exact),
      ptx({7, 5}, Image::Reach::upwards),
      ptx({12, 0}, Image::Reach::family),
      {Image::Kind::machine_code, {8, 6}, Image::Reach::upwards, false, ""}};
  auto chosen = [&](gpu::Capability device) { return choose_image(images, device); };
  EXPECT_EQ(chosen({7, 0}), nullptr);
  EXPECT_EQ(chosen({7, 5}), &images[2]);
  EXPECT_EQ(chosen({8, 6}), &images[0]);
  EXPECT_EQ(chosen({9, 0}), &images[1]);
  EXPECT_EQ(chosen({10, 0}), &images[0]);
  EXPECT_EQ(chosen({12, 0}), &images[3]);
  EXPECT_EQ(chosen({12, 1}), &images[3]);
  const char nothing[64] = "no fat binary";
  EXPECT_THROW(gpu::runtime::read_fat_binary(nothing), std::invalid_argument);
}

TEST_F(DeviceTest, Symbols) {
  const int constants[4] = {10, 20, 30, 40};
  ATTEND_EXPECT_OK(cudaMemcpyToSymbol(constant_symbol(), constants, sizeof(constants)));
  const int changed = 7;
  ATTEND_EXPECT_OK(cudaMemcpyToSymbol(device_symbol(), &changed, sizeof(int), 2 * sizeof(int)));
  int* out = upload({0, 0, 0, 0});
  add_symbols(out);
  EXPECT_EQ(download(out, 4), (std::vector<int>{11, 22, 37, 44}));
  int values[4];
  ATTEND_EXPECT_OK(cudaMemcpyFromSymbol(values, device_symbol(), sizeof(values)));
  EXPECT_EQ(values[2], 7);
  size_t bytes = 0;
  ATTEND_EXPECT_OK(cudaGetSymbolSize(&bytes, constant_symbol()));
  EXPECT_EQ(bytes, sizeof(constants));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidSymbol, cudaMemcpyToSymbol(&changed, &changed, 4));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaMemcpyToSymbol(device_symbol(), values, 16, 4));
}

TEST_F(DeviceTest, WhatNobodyWroteIsNaN) {
  if (!emulated()) GTEST_SKIP() << "a real GPU gives what was there";
  float* data = nullptr;
  ATTEND_EXPECT_OK(cudaMalloc(&data, 8 * sizeof(float)));
  write_even(data, 8);
  float host[8] = {};
  ATTEND_EXPECT_OK(cudaMemcpy(host, data, sizeof(host), cudaMemcpyDeviceToHost));
  EXPECT_EQ(host[0], 0.0f);
  EXPECT_TRUE(std::isnan(host[1]));
}

TEST_F(DeviceTest, MemoryErrors) {
  int* data = upload({1, 2, 3, 4});
  int host[8] = {};
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaMemcpy(host, data, 32, cudaMemcpyDeviceToHost));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaMemcpy(data, host, 16, cudaMemcpyDeviceToHost));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaFree(data + 1));
  ATTEND_EXPECT_OK(cudaFree(data));
  ATTEND_EXPECT_CUDA(cudaErrorInvalidValue, cudaFree(data));
  ATTEND_EXPECT_OK(cudaFree(nullptr));
  void* large = nullptr;
  ATTEND_EXPECT_CUDA(cudaErrorMemoryAllocation, cudaMalloc(&large, size_t{1} << 60));
  ATTEND_EXPECT_CUDA(cudaErrorMemoryAllocation, cudaGetLastError());
  ATTEND_EXPECT_OK(cudaGetLastError());
}

TEST_F(DeviceTest, PitchedCopies) {
  char* data = nullptr;
  size_t pitch = 0;
  ATTEND_EXPECT_OK(cudaMallocPitch(&data, &pitch, 6, 3));
  EXPECT_GE(pitch, 6u);
  ATTEND_EXPECT_OK(cudaMemset2D(data, pitch, 'x', 6, 3));
  const char rows[] = "abcd..efgh..";
  ATTEND_EXPECT_OK(cudaMemcpy2D(data + 1, pitch, rows, 6, 4, 2, cudaMemcpyHostToDevice));
  char back[19] = {};
  ATTEND_EXPECT_OK(cudaMemcpy2D(back, 6, data, pitch, 6, 3, cudaMemcpyDeviceToHost));
  EXPECT_STREQ(back, "xabcdxxefghxxxxxxx");
}

TEST_F(DeviceTest, PointersTellWhatTheyAre) {
  cudaPointerAttributes attributes;
  int local = 0;
  ATTEND_EXPECT_OK(cudaPointerGetAttributes(&attributes, &local));
  EXPECT_EQ(attributes.type, cudaMemoryTypeUnregistered);
  int* pinned = nullptr;
  ATTEND_EXPECT_OK(cudaMallocHost(&pinned, 4 * sizeof(int)));
  ATTEND_EXPECT_OK(cudaPointerGetAttributes(&attributes, pinned));
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  // Kernels use page-locked and managed memory at its own address.
  std::memset(pinned, 0, 4 * sizeof(int));
  add(pinned, 5, 4);
  ATTEND_EXPECT_OK(cudaDeviceSynchronize());
  EXPECT_EQ(pinned[3], 5);
  int* managed = nullptr;
  ATTEND_EXPECT_OK(cudaMallocManaged(&managed, 4 * sizeof(int)));
  ATTEND_EXPECT_OK(cudaPointerGetAttributes(&attributes, managed));
  EXPECT_EQ(attributes.type, cudaMemoryTypeManaged);
  copy(managed, pinned, 4);
  ATTEND_EXPECT_OK(cudaDeviceSynchronize());
  EXPECT_EQ(managed[0], 5);
  ATTEND_EXPECT_OK(cudaFree(managed));
  ATTEND_EXPECT_OK(cudaFreeHost(pinned));
}

TEST_F(DeviceTest, ErrorsHaveNamesAndTexts) {
  EXPECT_STREQ(cudaGetErrorName(cudaErrorIllegalAddress), "cudaErrorIllegalAddress");
  EXPECT_STREQ(cudaGetErrorString(cudaErrorIllegalAddress),
               "an illegal memory access was encountered");
  EXPECT_STREQ(cudaGetErrorString(cudaSuccess), "no error");
  EXPECT_STREQ(cudaGetErrorName(static_cast<cudaError_t>(12345)), "unrecognized error code");
}

}  // namespace
}  // namespace programs
