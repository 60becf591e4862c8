// The functions of CUDA's runtime that host code of kernels calls.

#include <cuda_runtime.h>

#include <cstring>

#include "cuda_host/runtime/memory.h"
#include "cuda_host/runtime/race.h"

using sbm::cuda_host::Content;
using sbm::cuda_host::find_global;
using sbm::cuda_host::Region;

namespace {

// CUDA refuses what does not lie in one allocation.
bool within_buffer(const void* address, std::size_t bytes) {
  const Region* region = find_global(address);
  return region != nullptr && region->holds(address, bytes);
}

}  // namespace

extern "C" {

cudaError_t cudaMemsetAsync(void* address, int value, std::size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (stream == nullptr || !within_buffer(address, bytes)) return cudaErrorInvalidValue;
  std::memset(address, value, bytes);
  sbm::cuda_host::race::mark(*find_global(address), address, bytes, Content::kWritten);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  const bool to_device = kind == cudaMemcpyDeviceToDevice || kind == cudaMemcpyHostToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToDevice || kind == cudaMemcpyDeviceToHost;
  if (stream == nullptr || (to_device && !within_buffer(to, bytes)) ||
      (from_device && !within_buffer(from, bytes))) {
    return cudaErrorInvalidValue;
  }
  std::memmove(to, from, bytes);
  if (to_device) {
    sbm::cuda_host::race::mark(*find_global(to), to, bytes, Content::kWritten);
  }
  return cudaSuccess;
}

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaSuccess ? "no error" : "invalid argument";
}

}  // extern "C"
