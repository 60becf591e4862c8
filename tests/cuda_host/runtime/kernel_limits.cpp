#include "cuda_host/runtime/kernel_limits.h"

#include <cuda_runtime.h>

#include <map>
#include <mutex>
#include <utility>

#include "cuda_host/runtime/shared_memory.h"

namespace sbm::cuda_host {
namespace {

constexpr int kDevices = 8;
constexpr std::size_t kFirstLimit = std::size_t{48} << 10;

thread_local int current_device = 0;

// One for the process, as CUDA's is: threads share what they set.
struct Limits {
  std::mutex mutex;
  std::map<std::pair<const void*, int>, std::size_t> bytes;
  std::map<const void*, LimitCalls> calls;

  std::size_t of(const void* kernel) const {
    const auto found = bytes.find({kernel, current_device});
    return found == bytes.end() ? kFirstLimit : found->second;
  }
};

Limits& limits() {
  static Limits all;
  return all;
}

}  // namespace

std::size_t shared_limit_of(const void* kernel) {
  const std::lock_guard lock(limits().mutex);
  return limits().of(kernel);
}

LimitCalls limit_calls(const void* kernel) {
  const std::lock_guard lock(limits().mutex);
  return limits().calls[kernel];
}

}  // namespace sbm::cuda_host

using sbm::cuda_host::current_device;
using sbm::cuda_host::kDevices;
using sbm::cuda_host::kSharedLimit;
using sbm::cuda_host::LimitCalls;
using sbm::cuda_host::limits;

extern "C" {

cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= kDevices) return cudaErrorInvalidDevice;
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device < 0 || device >= kDevices) return cudaErrorInvalidDevice;
  if (attribute != cudaDevAttrMaxSharedMemoryPerBlockOptin) return cudaErrorInvalidValue;
  *value = static_cast<int>(kSharedLimit);
  return cudaSuccess;
}

// Static arrays show themselves when a block makes them; the block then counts both.
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
  *attributes = {};
  attributes->maxDynamicSharedSizeBytes = static_cast<int>(sbm::cuda_host::shared_limit_of(kernel));
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  const bool fits = value >= 0 && value <= static_cast<int>(kSharedLimit);
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || !fits) {
    return cudaErrorInvalidValue;
  }
  const std::lock_guard lock(limits().mutex);
  LimitCalls& calls = limits().calls[kernel];
  ++calls.set;
  if (static_cast<std::size_t>(value) < limits().of(kernel)) ++calls.lowered;
  limits().bytes[{kernel, current_device}] = static_cast<std::size_t>(value);
  return cudaSuccess;
}

}  // extern "C"
