// From bits to lists of columns, once for each instruction set. Included by foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_COLUMNS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_COLUMNS_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_COLUMNS_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_COLUMNS_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "kernels/cpu/sampler_dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR

std::int64_t ListColumns(const std::uint64_t* words, std::int64_t blocks, std::int32_t* columns) {
  std::int64_t count = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (std::uint64_t word = words[block]; word != 0; word &= word - 1) {
      columns[count++] = static_cast<std::int32_t>(block * kBlockKeys) + __builtin_ctzll(word);
    }
  }
  return count;
}

#elif HWY_TARGET == HWY_AVX3_DL

std::int64_t ListColumns(const std::uint64_t* words, std::int64_t blocks, std::int32_t* columns) {
  std::int64_t count = 0;
  const __m512i cells = _mm512_load_si512(kCellNumbers.of);
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::uint64_t word = words[block];
    const __m512i list = _mm512_maskz_compress_epi8(word, cells);
    const __m512i first = _mm512_set1_epi32(static_cast<std::int32_t>(block * kBlockKeys));
    const auto store = [&](int part, __m128i bytes) HWY_ATTR {
      _mm512_storeu_si512(columns + count + 16 * part,
                          _mm512_add_epi32(_mm512_cvtepu8_epi32(bytes), first));
    };
    const int bits = __builtin_popcountll(word);
    // Two vectors hold most words of all but dense rows: no branch that depends on the bits.
    store(0, _mm512_castsi512_si128(list));
    store(1, _mm512_extracti32x4_epi32(list, 1));
    if (bits > 32) {
      store(2, _mm512_extracti32x4_epi32(list, 2));
      store(3, _mm512_extracti32x4_epi32(list, 3));
    }
    count += bits;
  }
  return count;
}

#else

std::int64_t ListColumns(const std::uint64_t* words, std::int64_t blocks, std::int32_t* columns) {
  // Highway's own compression copies its table to the stack at every call below AVX-512.
  constexpr int kStep = kLanes == 16 ? 16 : 8;
  constexpr std::uint64_t kStepBits = (std::uint64_t{1} << kStep) - 1;
  std::int64_t count = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    std::uint64_t word = words[block];
    auto first = static_cast<std::int32_t>(block * kBlockKeys);
    for (; word != 0; word >>= kStep, first += kStep) {
      const std::uint64_t bits = word & kStepBits;
      if constexpr (kLanes == 16) {
        std::uint8_t bytes[8];
        std::memcpy(bytes, &bits, sizeof(bytes));
        const Sum keys = hn::Iota(Sums(), 0);
        hn::StoreU(
            hn::Add(hn::Compress(keys, hn::LoadMaskBits(Sums(), bytes)), hn::Set(Sums(), first)),
            Sums(), columns + count);
      } else {
        const hn::Rebind<std::uint8_t, Sums> bytes;
        const std::uint8_t* positions = kBitPositions.of[bits];
        for (int lane = 0; lane < kStep; lane += kLanes) {
          hn::StoreU(hn::Add(hn::PromoteTo(Sums(), hn::LoadU(bytes, positions + lane)),
                             hn::Set(Sums(), first)),
                     Sums(), columns + count + lane);
        }
      }
      count += __builtin_popcountll(bits);
    }
  }
  return count;
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
