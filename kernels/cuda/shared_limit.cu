#include "kernels/cuda/shared_limit.h"

#include <cuda_runtime_api.h>

#include <mutex>
#include <set>
#include <utility>

namespace sbm::kernels::cuda {
namespace {

cudaError_t raise(const void* kernel, int device) {
  cudaFuncAttributes attributes{};
  cudaError_t error = cudaFuncGetAttributes(&attributes, kernel);
  if (error != cudaSuccess) return error;
  int block_bytes = 0;
  error = cudaDeviceGetAttribute(&block_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  if (error != cudaSuccess) return error;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              block_bytes - static_cast<int>(attributes.sharedSizeBytes));
}

}  // namespace

cudaError_t raise_shared_limit(const void* kernel) {
  static std::mutex mutex;
  static std::set<std::pair<const void*, int>> raised;
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error != cudaSuccess) return error;
  // Held while CUDA is asked: whoever comes second must not launch before the limit is there.
  const std::lock_guard lock(mutex);
  const std::pair key(kernel, device);
  if (raised.contains(key)) return cudaSuccess;
  error = raise(kernel, device);
  if (error == cudaSuccess) raised.insert(key);
  return error;
}

}  // namespace sbm::kernels::cuda
