#pragma once

// Every PTX instruction that kernels use, each as a function; their twins for the CPU are in
// tests/cuda_host. Fragment layouts are those of the PTX manual: lane = 4 * group + quad_lane,
// group = 0..7, quad_lane = 0..3.

#include <cstdint>

#include "kernels/cuda/device.cuh"

#ifdef SBM_CUDA_HOST
#include "cuda_host/ptx.h"
#else

namespace sbm::kernels::cuda::ptx {

/// The address of `pointer`, which points to shared memory, as shared-memory instructions take it.
__device__ __forceinline__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

/// Starts copying 16 bytes to `shared`, past L1; zeros when not `valid`, and then `global` is not
/// read. Both addresses are multiples of 16. There after cp_async_wait and a barrier.
__device__ __forceinline__ void cp_async_16(void* shared, const void* global, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(shared)),
               "l"(global), "r"(valid ? 16 : 0)
               : "memory");
}

/// Closes the group of this thread's copies since the last commit (an empty group counts too).
__device__ __forceinline__ void cp_async_commit() {
  asm volatile("cp.async.commit_group;\n" ::: "memory");
}

/// Waits until at most `pending` of this thread's newest groups are under way. Other threads see
/// the copied bytes after a barrier that follows.
template <int pending>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(pending) : "memory");
}

/// Loads four 8x8 matrices of 16-bit elements: lane 8i + r gives the address of row r (16 bytes) of
/// matrix i; r[i] gets elements 2 quad_lane and 2 quad_lane + 1 of row `group` of matrix i.
__device__ __forceinline__ void ldmatrix_x4(std::uint32_t (&r)[4], const void* shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(shared_row))
               : "memory");
}

/// ldmatrix_x4 of the transposed matrices: r[i] gets rows 2 quad_lane and 2 quad_lane + 1 of
/// column `group` of matrix i.
__device__ __forceinline__ void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(shared_row))
               : "memory");
}

/// ldmatrix_x4 of two matrices: the addresses come from lanes 0..15, those of other lanes are
/// ignored.
__device__ __forceinline__ void ldmatrix_x2(std::uint32_t (&r)[2], const void* shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];\n"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(shared_row))
               : "memory");
}

/// ldmatrix_x4_trans of two matrices, addressed as in ldmatrix_x2.
__device__ __forceinline__ void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* shared_row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];\n"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(shared_row))
               : "memory");
}

/// d += a b by the whole warp: a 16x16 by rows, b 16x8 by columns, both bf16, d 16x8 fp32.
/// a[0], a[1]: columns 2 quad_lane + {0, 1} of rows group and group + 8; a[2], a[3]: the same at
/// columns + 8. b[0]: rows 2 quad_lane + {0, 1} of column group; b[1]: rows + 8. d[0], d[1]:
/// columns 2 quad_lane + {0, 1} of row group; d[2], d[3]: of row group + 8. The lower half of a
/// word is the lower index. The order of the sum over 16 products is the hardware's.
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const std::uint32_t (&a)[4],
                                                  const std::uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// d += a b by the whole warp, exact modulo 2^32: a 16x32 by rows, b 32x8 by columns, unsigned
/// bytes. a[0], a[1]: columns 4 quad_lane + {0..3} of rows group and group + 8; a[2], a[3]: the
/// same at columns + 16. b[0]: rows 4 quad_lane + {0..3} of column group; b[1]: rows + 16. d as in
/// mma_m16n8k16_bf16. The lowest byte of a word is the lowest index.
__device__ __forceinline__ void mma_m16n8k32_u8(std::uint32_t (&d)[4], const std::uint32_t (&a)[4],
                                                const std::uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\n"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// d + the sum of the products of the four unsigned bytes of a and b, modulo 2^32.
__device__ __forceinline__ std::uint32_t dot4_u8(std::uint32_t a, std::uint32_t b,
                                                 std::uint32_t d) {
  return __dp4a(a, b, d);
}

/// 2^x within 2^-22.5 (relative) by one instruction; subnormal inputs and results count as 0.
__device__ __forceinline__ float exp2_approx(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(result) : "f"(x));
  return result;
}

}  // namespace sbm::kernels::cuda::ptx
#endif
