#pragma once

/// Marks a function that both the CPU and the GPU run: one source for what must give the same bits
/// on either. What it calls is constexpr or marked as well.
#if defined(__CUDACC__)
#define SBM_HOST_DEVICE __host__ __device__
#else
#define SBM_HOST_DEVICE
#endif

/// A constant table of the host for marked functions: after SBM_DEVICE_COPY(name), they index
/// SBM_TABLE(name). nvcc compiles an access to the host's own into a trap, without a word.
#if defined(__CUDACC__)
#define SBM_DEVICE_COPY(name) static __device__ constexpr auto name##_on_device = name
#else
#define SBM_DEVICE_COPY(name) static_assert(true)
#endif
#if defined(__CUDA_ARCH__)
#define SBM_TABLE(name) name##_on_device
#else
#define SBM_TABLE(name) name
#endif
