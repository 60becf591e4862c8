#pragma once

/// Marks functions that plain C++ and kernels share; C++ compilers see nothing of it.
#ifdef __CUDACC__
#define SBM_HOST_DEVICE __host__ __device__
#else
#define SBM_HOST_DEVICE
#endif
