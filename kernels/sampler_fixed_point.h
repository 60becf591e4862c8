#pragma once

#include <array>
#include <cstdint>

#include "base/host_device.h"

// Fixed-point arithmetic of the sampler contract (docs/sampler.md, section 7): integers only, so
// that every device computes the same bits.
namespace sbm::kernels {

/// Fractional bits of a hazard or an exponential gap: values below 64 fit.
inline constexpr int kHazardBits = 58;

/// Leading zero bits of x; 64 for 0. nvcc makes a constant of std::countl_zero and std::bit_width.
[[nodiscard]] SBM_HOST_DEVICE constexpr int leading_zeros(std::uint64_t x) {
  return x == 0 ? 64 : __builtin_clzll(x);
}

/// The high 64 bits of a * b (CUDA: __umul64hi).
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint64_t mul_high(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(a) * b) >> 64);
}

/// Entry i is round(2^58 ln(2^16 / r_i)), r_i = reciprocal(i) of negative_log().
inline constexpr std::array<std::uint64_t, 64> kLogTable = {
    0x000000000000000, 0x00fdf54589e01ed, 0x01f7ebb1058b1ca, 0x02ee6d1ecd639d5, 0x03e14218024c54d,
    0x04d031e5ab145a9, 0x05bc1aa2bea2d18, 0x06a4864e9627582, 0x078989dba33cab3, 0x086b863e81a91da,
    0x094a997c11fa915, 0x0a264eb68d20721, 0x0aff5c386fe9d85, 0x0bd59c8114ec7f6, 0x0ca8e94e9e4b40a,
    0x0d79b9a74ed1f2f, 0x0e47ebe3cf4d108, 0x0f135db720c16e8, 0x0fdc3e36dea6eeb, 0x10a312e27618e2e,
    0x116718abcfc5f47, 0x12292cfbd2eb64e, 0x12e8e0bae12530a, 0x13a617557f37ddb, 0x146163c228debd4,
    0x151a55876a77f59, 0x15d185bf7089bc0, 0x1686841ebf34953, 0x173993f6dfefed0, 0x17ea9f3bc0918a0,
    0x1899ed86e78a3ed, 0x19476b1c2e38f52, 0x19f303ecc798495, 0x1a9ca39ac3aa29e, 0x1b44977c148f1a9,
    0x1beb309dadad7a0, 0x1c8f97c7e299d9b, 0x1d32e67e056bd44, 0x1dd44404cd0c9c4, 0x1e740461f48f748,
    0x1f127f5fb106ec6, 0x1faf3e8f7e3b1d7, 0x204a9b4b4c69fd8, 0x20e41cb881be38a, 0x217c89c88c74c61,
    0x2213d73c5c992da, 0x22a91da64173726, 0x233d9868e584d18, 0x23d05ebd2881588, 0x246243af848682d,
    0x24f25a255e69e94, 0x258178dac9ceda2, 0x260f9666a2a17b2, 0x269c343b4055a43, 0x2727bba6ac9c335,
    0x27b1abd5208fbbf, 0x283ae7d0a5654e8, 0x28c2ef84453d7fc, 0x2949b8bb78fd67c, 0x29cf3923dd58d81,
    0x2a53e24d280ac94, 0x2ad7acab8f49156, 0x2b5a1298c9c5eda, 0x2bdb8852c23e4bf};
SBM_DEVICE_COPY(kLogTable);

/// round(2^58 ln 2).
inline constexpr std::uint64_t kLogOfTwo = 0x2c5c85fdf473de7;

/// -ln(x / 2^64) with kHazardBits fractional bits, for x >= 1. The absolute error is below
/// 2^-57 + 2^-59 * (the value): x is normalised to f in [1, 2), multiplied by a 16-bit reciprocal
/// of its 6 leading bits, and ln(1 + z), z < 2^-5.9, is summed by Horner's rule to the ninth power.
[[nodiscard]] SBM_HOST_DEVICE constexpr std::uint64_t negative_log(std::uint64_t x) {
  const int zeros = leading_zeros(x);
  const std::uint64_t f = x << zeros;  // 63 fractional bits
  const auto index = static_cast<std::uint32_t>(f >> 57) & 63;
  const std::uint64_t reciprocal = ((std::uint32_t{1} << 22) + 63 + index) / (64 + index);
  const std::uint64_t high = mul_high(f, reciprocal) - (std::uint64_t{1} << 15);
  const std::uint64_t z = (high << 49) | ((f * reciprocal) >> 15);  // 64 fractional bits

  constexpr std::uint64_t kOne = ~std::uint64_t{0};
  std::uint64_t series = kOne / 9;
  for (std::uint64_t n = 8; n >= 2; --n) series = kOne / n - mul_high(z, series);
  series = kOne - mul_high(z, series);
  const std::uint64_t log_of_f =
      SBM_TABLE(kLogTable)[index] + (mul_high(z, series) >> (64 - kHazardBits));

  const std::uint64_t scale = static_cast<std::uint64_t>(zeros + 1) * kLogOfTwo;
  return scale > log_of_f ? scale - log_of_f : 0;
}

}  // namespace sbm::kernels
