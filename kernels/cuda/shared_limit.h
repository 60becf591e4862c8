#pragma once

#include <driver_types.h>

#include <cstddef>

// How much dynamic shared memory launches may ask for.
namespace sbm::kernels::cuda {

/// Shared bytes a block may have without asking for more, on every device.
inline constexpr std::size_t kSharedBytesUnasked = 48 * 1024;

/// Lets launches of `kernel` on the current device have all the dynamic shared memory that a block
/// can have there beside the kernel's static arrays. It asks CUDA once for each kernel and device;
/// any threads may call at once. The limit is the same whoever asks first, so nobody can lower what
/// another launch is about to use.
cudaError_t raise_shared_limit(const void* kernel);

}  // namespace sbm::kernels::cuda
