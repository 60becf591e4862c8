#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

#include "trainer/gpus.h"

namespace sbm::trainer {
namespace {

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string failure(const char* call, cudaError_t error) {
  return fmt::format("{}: {}", call, cudaGetErrorString(error));
}

// Returns why it cannot be described, or nothing.
std::string describe(int index, Gpu& gpu) {
  cudaDeviceProp properties{};
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, index); error != cudaSuccess) {
    return failure("cudaGetDeviceProperties", error);
  }
  std::array<char, 32> bus_id{};
  if (const cudaError_t error =
          cudaDeviceGetPCIBusId(bus_id.data(), static_cast<int>(bus_id.size()), index);
      error != cudaSuccess) {
    return failure("cudaDeviceGetPCIBusId", error);
  }
  gpu.name = properties.name;
  gpu.bus_id = bus_id.data();
  gpu.memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem);
  gpu.major = properties.major;
  gpu.minor = properties.minor;
  return {};
}

}  // namespace

Machine find_gpus() {
  Machine machine;
  machine.built_with_cuda = true;
  int version = 0;
  if (cudaRuntimeGetVersion(&version) == cudaSuccess) machine.runtime = version_text(version);
  // 0 without a driver.
  if (cudaDriverGetVersion(&version) == cudaSuccess && version > 0) {
    machine.driver = version_text(version);
  }
  int count = 0;
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess) {
    static_cast<void>(cudaGetLastError());  // or the next launch would report it
    machine.obstacle = cudaGetErrorString(error);
    return machine;
  }
  for (int index = 0; index < count; ++index) {
    Gpu gpu;
    if (std::string obstacle = describe(index, gpu); !obstacle.empty()) {
      machine.gpus.clear();
      machine.obstacle = std::move(obstacle);
      return machine;
    }
    machine.gpus.push_back(std::move(gpu));
  }
  if (count == 0) machine.obstacle = "no GPU is visible";
  return machine;
}

}  // namespace sbm::trainer
