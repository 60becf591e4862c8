// The tests of the proof bench on a GPU.
//
//   cuda_device_tests [options of GoogleTest]
//   cuda_device_tests --device                 says which GPU there is
//
// Exit code 77, with the reason, where there is none.

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>

namespace {

constexpr int kSkipped = 77;

int without_gpu(cudaError_t error) {
  std::printf("no GPU: %s\n", error == cudaSuccess ? "none found" : cudaGetErrorString(error));
  return kSkipped;
}

int describe_device() {
  cudaDeviceProp properties{};
  int driver = 0;
  int runtime = 0;
  cudaError_t error = cudaGetDeviceProperties(&properties, 0);
  if (error == cudaSuccess) error = cudaDriverGetVersion(&driver);
  if (error == cudaSuccess) error = cudaRuntimeGetVersion(&runtime);
  if (error != cudaSuccess) return without_gpu(error);
  std::printf("%s, sm_%d%d, %d multiprocessors, %.0f GiB, driver for CUDA %d.%d, runtime %d.%d\n",
              properties.name, properties.major, properties.minor, properties.multiProcessorCount,
              static_cast<double>(properties.totalGlobalMem) / (1 << 30), driver / 1000,
              driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  // Lists need no device.
  if (!GTEST_FLAG_GET(list_tests)) {
    int devices = 0;
    const cudaError_t error = cudaGetDeviceCount(&devices);
    if (error != cudaSuccess || devices == 0) return without_gpu(error);
    if (argc > 1 && std::strcmp(argv[1], "--device") == 0) return describe_device();
  }
  return RUN_ALL_TESTS();
}
