#pragma once

// What a kernel is written against: CUDA under nvcc; under a C++ compiler with SBM_CUDA_HOST the
// runtime that executes kernels on the CPU (tests/cuda_host). Two things are spelt differently from
// plain CUDA so that both can have them:
//
//   SBM_SHARED_ARRAY(type, name, count);   a static shared array, aligned to 16 bytes
//   SBM_DYNAMIC_SHARED(type, name);        `type* name`: the launch's shared bytes, aligned to 128
//
// and a launch is a call of launch() instead of <<<>>>.

#include <cuda_bf16.h>

#include <cstddef>
#include <string>
#include <type_traits>

#include "kernels/status.h"

#ifdef SBM_CUDA_HOST
#include "cuda_host/device.h"
#else
#include <cuda_runtime.h>

#include "kernels/cuda/shared_limit.h"

#define SBM_SHARED_ARRAY(type, name, count) __shared__ __align__(16) type name[count]
// Every kernel declares the same array: CUDA has one extern shared symbol of one type per file.
#define SBM_DYNAMIC_SHARED(type, name)                                 \
  extern __shared__ __align__(128) unsigned char sbm_dynamic_shared[]; \
  type* const name = reinterpret_cast<type*>(sbm_dynamic_shared)

namespace sbm::kernels::cuda {

/// Launches `kernel` with `parameters` on `stream`: no synchronisation, no allocation, capturable.
/// `shared_bytes` of dynamic shared memory may exceed 48 KiB. Not ok when CUDA refuses the launch;
/// errors of kernels that ran before are not looked at.
template <class... Parameters>
Status launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
              cudaStream_t stream, std::type_identity_t<Parameters>... parameters) {
  const auto* function = reinterpret_cast<const void*>(kernel);
  cudaError_t error = cudaSuccess;
  if (shared_bytes > kSharedBytesUnasked) error = raise_shared_limit(function);
  if (error == cudaSuccess) {
    void* arguments[] = {static_cast<void*>(&parameters)...};
    error = cudaLaunchKernel(function, grid, block, arguments, shared_bytes, stream);
  }
  if (error == cudaSuccess) return Status();
  // The error would otherwise wait for whoever asks CUDA for its last one.
  static_cast<void>(cudaGetLastError());
  const char* name = nullptr;
  if (cudaFuncGetName(&name, function) != cudaSuccess) name = "?";
  return Status::invalid(std::string("launch of kernel ") + name + " with " +
                         std::to_string(shared_bytes) +
                         " bytes of shared memory refused: " + cudaGetErrorString(error));
}

}  // namespace sbm::kernels::cuda
#endif
