#pragma once

// What kernels/cuda/device.cuh is under a C++ compiler: CUDA's own headers for types, and this
// runtime for everything that a device does.

#include <cuda_runtime.h>

#include <cstddef>
#include <type_traits>

#include "cuda_host/runtime/atomics.h"
#include "cuda_host/runtime/intrinsics.h"
#include "cuda_host/runtime/launch.h"
#include "cuda_host/runtime/synchronization.h"
#include "cuda_host/runtime/variables.h"
#include "cuda_host/runtime/warp_functions.h"
#include "kernels/status.h"

// Without nvcc CUDA's headers make this empty, and shared arrays would silently become each
// thread's own.
#undef __shared__
#define __shared__ SBM_SHARED_ARRAY_or_SBM_DYNAMIC_SHARED_expected
#undef __launch_bounds__
#define __launch_bounds__(...)

#define threadIdx (::sbm::cuda_host::thread_index())
#define blockIdx (::sbm::cuda_host::block_index())
#define blockDim (::sbm::cuda_host::block_dimensions())
#define gridDim (::sbm::cuda_host::grid_dimensions())
#define warpSize 32

// The lambda's variable is one for each declaration and each instance of a template.
#define SBM_SHARED_ARRAY(type, name, count)                   \
  auto& name = ::sbm::cuda_host::shared_array<type, (count)>( \
      [] {                                                    \
        static const char declaration = 0;                    \
        return static_cast<const void*>(&declaration);        \
      }(),                                                    \
      #name)
#define SBM_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(::sbm::cuda_host::dynamic_shared())

namespace sbm::kernels::cuda {

/// Runs `kernel` on the CPU: there when it returns.
template <class... Parameters>
Status launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
              cudaStream_t stream, std::type_identity_t<Parameters>... parameters) {
  const auto call = [=] { kernel(parameters...); };
  return cuda_host::run_grid(reinterpret_cast<const void*>(kernel), grid, block, shared_bytes,
                             stream, cuda_host::KernelCall::of(call));
}

}  // namespace sbm::kernels::cuda
