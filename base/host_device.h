#pragma once

/// Marks a function that both the CPU and the GPU run: one source for what must give the same bits
/// on either.
#if defined(__CUDACC__)
#define SBM_HOST_DEVICE __host__ __device__
#else
#define SBM_HOST_DEVICE
#endif
