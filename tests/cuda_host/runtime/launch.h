#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <string>

#include "kernels/status.h"

namespace sbm::cuda_host {

/// A kernel with its parameters, which every thread calls.
struct KernelCall {
  void (*invoke)(const void* object) = nullptr;
  const void* object = nullptr;  // holds the parameters; kernels may read it
  std::size_t object_bytes = 0;

  template <class Function>
  static KernelCall of(const Function& function) {
    return {[](const void* object) { (*static_cast<const Function*>(object))(); }, &function,
            sizeof(Function)};
  }
};

/// Calls `call` once for each thread of each block. Not ok for what a device would refuse; throws
/// KernelDefect for what the kernel does wrong. The null stream is refused: everything here has a
/// stream of its own.
kernels::Status run_grid(const void* kernel, dim3 grid, dim3 block,
                         std::size_t dynamic_shared_bytes, cudaStream_t stream,
                         const KernelCall& call);

}  // namespace sbm::cuda_host
