#pragma once

#include <cstddef>

namespace sbm::cuda_host {

/// The dynamic shared bytes that a launch of `kernel` may ask for on this thread's device, as
/// cudaFuncSetAttribute has set them.
std::size_t shared_limit_of(const void* kernel);

/// What has been asked of CUDA about a kernel, on all devices and by all threads.
struct LimitCalls {
  int set = 0;      ///< the limit was set
  int lowered = 0;  ///< below what it was
};
LimitCalls limit_calls(const void* kernel);

}  // namespace sbm::cuda_host
