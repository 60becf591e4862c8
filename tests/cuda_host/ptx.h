#pragma once

#include <cstdint>
#include <source_location>

#include "cuda_host/runtime/intrinsics.h"

// The twins of the PTX instructions in kernels/cuda/ptx.cuh, which says what each does.

namespace sbm::kernels::cuda::ptx {

/// The 16 bytes are garbage from here until the wait, and copied no sooner than in it.
void cp_async_16(void* shared, const void* global, bool valid,
                 const std::source_location& where = std::source_location::current());
void cp_async_commit();
void wait_for_copies(int pending);
template <int pending>
void cp_async_wait() {
  wait_for_copies(pending);
}

void ldmatrix_x4(std::uint32_t (&r)[4], const void* shared_row,
                 const std::source_location& where = std::source_location::current());
void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* shared_row,
                       const std::source_location& where = std::source_location::current());
void ldmatrix_x2(std::uint32_t (&r)[2], const void* shared_row,
                 const std::source_location& where = std::source_location::current());
void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* shared_row,
                       const std::source_location& where = std::source_location::current());

/// Sums 16 products in ascending order in fp32, then adds them to d.
void mma_m16n8k16_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                       const std::source_location& where = std::source_location::current());
void mma_m16n8k32_u8(std::uint32_t (&d)[4], const std::uint32_t (&a)[4],
                     const std::uint32_t (&b)[2],
                     const std::source_location& where = std::source_location::current());

inline std::uint32_t dot4_u8(std::uint32_t a, std::uint32_t b, std::uint32_t d) {
  return __dp4a(a, b, d);
}

float exp2_approx(float x);

}  // namespace sbm::kernels::cuda::ptx
