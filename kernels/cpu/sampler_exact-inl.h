// The cells that need their exact threshold one by one, once for each instruction set. Included by
// foreach_target.

#if defined(SBM_KERNELS_CPU_SAMPLER_EXACT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef SBM_KERNELS_CPU_SAMPLER_EXACT_INL_H_
#undef SBM_KERNELS_CPU_SAMPLER_EXACT_INL_H_
#else
#define SBM_KERNELS_CPU_SAMPLER_EXACT_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "kernels/cpu/sampler_random-inl.h"
#include "kernels/cpu/sampler_threshold-inl.h"
#include "kernels/sampler_operands.h"

HWY_BEFORE_NAMESPACE();
namespace sbm::kernels::cpu {
namespace HWY_NAMESPACE {
namespace {

/// 64 cells of one row: those that are edges for certain, and those that only their exact threshold
/// can decide (which may be among the edges already).
struct CellBits {
  std::uint64_t edges = 0;
  std::uint64_t candidates = 0;
};

constexpr int kMostCandidates = kGroupRows * static_cast<int>(kBlockKeys);

/// One block of keys while the rows of a call are drawn.
struct BlockWork {
  HWY_ALIGN std::uint16_t halves[kGroupRows][kBlockKeys];
  CellBits bits[kGroupRows];
  /// The candidates of all rows in one list: rows of their own would end in a branch that is never
  /// predicted. With room for whole words more.
  int candidates = 0;
  HWY_ALIGN std::uint8_t rows[kMostCandidates + kBlockKeys];
  HWY_ALIGN std::uint8_t cells[kMostCandidates + kBlockKeys];
  HWY_ALIGN std::int32_t shifts[kMostCandidates + kBlockKeys];
  HWY_ALIGN std::uint32_t randoms[kMostCandidates + kBlockKeys];
  HWY_ALIGN std::uint32_t thresholds[kMostCandidates + kBlockKeys];
  /// One bit a candidate.
  std::uint64_t edges[kGroupRows + 2];
  std::uint64_t saturated[kGroupRows + 2];
};

/// Notes what a row knows of its cells, without those of padding.
HWY_INLINE void note_cells(const CellsCall& call, std::int64_t block, int row, CellBits bits,
                           BlockWork& work) {
  const std::uint64_t valid = call.valid_bits[block];
  std::uint64_t candidates = bits.candidates & valid;
  work.bits[row].edges = bits.edges & valid;
  work.bits[row].candidates = candidates;
  std::uint8_t* rows = work.rows + work.candidates;
  std::uint8_t* cells = work.cells + work.candidates;
  const int count = __builtin_popcountll(candidates);
  work.candidates += count;
#if HWY_TARGET == HWY_AVX3_DL
  const __m512i list = _mm512_maskz_compress_epi8(candidates, _mm512_load_si512(kCellNumbers.of));
  const __m512i number = _mm512_set1_epi8(static_cast<char>(row));
  // Stores of whole lines would straddle two of them nearly always.
  _mm_storeu_si128(reinterpret_cast<__m128i*>(cells), _mm512_castsi512_si128(list));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(rows), _mm512_castsi512_si128(number));
  if (count > 16) {
    _mm512_storeu_si512(cells, list);
    _mm512_storeu_si512(rows, number);
  }
#else
  for (; candidates != 0; candidates &= candidates - 1) {
    *cells++ = static_cast<std::uint8_t>(__builtin_ctzll(candidates));
    *rows++ = static_cast<std::uint8_t>(row);
  }
#endif
}

/// Whether a cell is an edge whose upper random half ties with its threshold's.
inline bool wins_tie(const CellsCall& call, std::int64_t block, int row, int cell,
                     std::uint32_t threshold) {
  const auto key = static_cast<std::uint32_t>(block * kBlockKeys + cell);
  return low_bits(call.stream, call.row_numbers[row], key) < (threshold & 0xFFFF);
}

#if HWY_TARGET == HWY_SCALAR

/// Gives every candidate of a block its exact threshold, and decides it.
inline void decide_candidates(const CellsCall& call, std::int64_t block, BlockWork& work) {
  const std::int64_t stride = entry_stride(call.clusters);
  for (int i = 0; i < work.candidates; ++i) {
    const int row = work.rows[i];
    const int cell = work.cells[i];
    const std::int64_t key = block * kBlockKeys + cell;
    const std::uint32_t accumulator =
        accumulate(call.weights[row], call.entries + key * stride, call.clusters);
    const std::uint32_t probability =
        probability_units(accumulator, call.exponents[row] + call.key_exponents[key]);
    const std::uint32_t threshold = edge_threshold(call.law, probability, call.exploration);
    const std::uint32_t high = work.halves[row][cell];
    const bool edge = high < threshold >> 16 ||
                      (high == threshold >> 16 && wins_tie(call, block, row, cell, threshold));
    work.bits[row].edges |= std::uint64_t{edge} << cell;
    const bool saturated = edge && is_saturated(probability, call.exploration);
    call.saturated[row][block] |= std::uint64_t{saturated} << cell;
    if (call.law == MaskLaw::kPoisson) call.thresholds[row][key] = threshold;
  }
}

#else

/// Partial sums of a candidate's accumulator: over kVectors vectors of entries, or over `vectors`
/// of them where kVectors is 0.
template <int kVectors>
HWY_INLINE Sum partial_sums(const CellsCall& call, const std::uint16_t* keys, std::int64_t vectors,
                            int row, int cell) {
  if constexpr (kVectors > 0) vectors = kVectors;
  constexpr std::ptrdiff_t kEntries = 2 * kLanes;
  const auto* weights = reinterpret_cast<const std::int16_t*>(call.weights[row]);
  const auto* key =
      reinterpret_cast<const std::int16_t*>(keys + cell * entry_stride(call.clusters));
  Sum sum = hn::Zero(Sums());
  for (std::int64_t v = 0; v < vectors; ++v) {
    sum = add_products(hn::Load(Halves(), weights + v * kEntries),
                       hn::Load(Halves(), key + v * kEntries), sum);
  }
  return sum;
}

/// In every 128 bits, the sums of four candidates' partial sums there.
template <int kVectors>
HWY_INLINE Sum four_candidates(const CellsCall& call, const std::uint16_t* keys,
                               std::int64_t vectors, const BlockWork& work, int first) {
  const std::uint8_t* rows = work.rows + first;
  const std::uint8_t* cells = work.cells + first;
  const Sum a = partial_sums<kVectors>(call, keys, vectors, rows[0], cells[0]);
  const Sum b = partial_sums<kVectors>(call, keys, vectors, rows[1], cells[1]);
  const Sum c = partial_sums<kVectors>(call, keys, vectors, rows[2], cells[2]);
  const Sum d = partial_sums<kVectors>(call, keys, vectors, rows[3], cells[3]);
  const Sum ab = hn::Add(hn::InterleaveLower(Sums(), a, b), hn::InterleaveUpper(Sums(), a, b));
  const Sum cd = hn::Add(hn::InterleaveLower(Sums(), c, d), hn::InterleaveUpper(Sums(), c, d));
  const Double first_two = hn::BitCast(kDoubles, ab);
  const Double last_two = hn::BitCast(kDoubles, cd);
  return hn::Add(hn::BitCast(Sums(), hn::InterleaveLower(kDoubles, first_two, last_two)),
                 hn::BitCast(Sums(), hn::InterleaveUpper(kDoubles, first_two, last_two)));
}

/// The accumulators of kLanes candidates.
template <int kVectors>
HWY_INLINE Word candidate_sums(const CellsCall& call, const std::uint16_t* keys,
                               std::int64_t vectors, const BlockWork& work, int first) {
  const Sum x = four_candidates<kVectors>(call, keys, vectors, work, first);
  if constexpr (kLanes == 4) {
    return hn::BitCast(kWords, x);
  } else {
    const Sum y = four_candidates<kVectors>(call, keys, vectors, work, first + 4);
    if constexpr (kLanes == 8) {
      return hn::BitCast(
          kWords, hn::Add(hn::ConcatLowerLower(Sums(), y, x), hn::ConcatUpperUpper(Sums(), y, x)));
    } else {
      const Sum z = four_candidates<kVectors>(call, keys, vectors, work, first + 8);
      const Sum w = four_candidates<kVectors>(call, keys, vectors, work, first + 12);
      const Sum xz =
          hn::Add(hn::ConcatLowerLower(Sums(), z, x), hn::ConcatUpperUpper(Sums(), z, x));
      const Sum yw =
          hn::Add(hn::ConcatLowerLower(Sums(), w, y), hn::ConcatUpperUpper(Sums(), w, y));
      return hn::BitCast(kWords, hn::OddEvenBlocks(hn::Add(yw, hn::SwapAdjacentBlocks(yw)),
                                                   hn::Add(xz, hn::SwapAdjacentBlocks(xz))));
    }
  }
}

/// Spreads the low bits over the places that `mask` has.
inline std::uint64_t deposit_bits(std::uint64_t bits, std::uint64_t mask) {
#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX2
  return _pdep_u64(bits, mask);
#else
  std::uint64_t result = 0;
  for (; mask != 0; mask &= mask - 1, bits >>= 1) {
    if ((bits & 1) != 0) result |= mask & -mask;
  }
  return result;
#endif
}

/// 64 bits of a string of bits.
inline std::uint64_t bits_from(const std::uint64_t* words, int first) {
  const std::uint64_t* word = words + first / 64;
  const int shift = first % 64;
  return word[0] >> shift | word[1] << 1 << (63 - shift);
}

/// Gives every candidate of a block its exact threshold, and decides it.
template <MaskLaw kLaw, int kVectors>
void decide_candidates(const CellsCall& call, std::int64_t block, BlockWork& work) {
  const int count = work.candidates;
  const std::uint8_t* exponents = call.key_exponents + block * kBlockKeys;
  // What fills the last vector repeats the first candidate.
  for (int i = count; i < count + kLanes; ++i) {
    work.rows[i] = work.rows[0];
    work.cells[i] = work.cells[0];
  }
  for (int i = 0; i < count + kLanes; ++i) {
    const int row = work.rows[i];
    const int cell = work.cells[i];
    work.shifts[i] = call.exponents[row] + exponents[cell];
    work.randoms[i] = std::uint32_t{work.halves[row][cell]} << 16;
  }
  std::memset(work.edges, 0, sizeof(work.edges));
  std::memset(work.saturated, 0, sizeof(work.saturated));

  const std::uint16_t* keys = call.entries + block * kBlockKeys * entry_stride(call.clusters);
  const std::int64_t vectors = (call.clusters + 2 * kLanes - 1) / (2 * kLanes);
  std::uint64_t any_saturated = 0;
  for (int i = 0; i < count; i += kLanes) {
    const Word sums = candidate_sums<kVectors>(call, keys, vectors, work, i);
    const Word probability = probabilities<true>(sums, hn::Load(Sums(), work.shifts + i));
    const Thresholds found = thresholds_of<kLaw>(probability, call.exploration);
    hn::Store(found.thresholds, kWords, work.thresholds + i);
    const Word least = hn::Load(kWords, work.randoms + i);
    const Word most = hn::Or(least, hn::Set(kWords, 0xFFFF));
    std::uint64_t edges = bits_of(kWords, hn::Lt(most, found.thresholds));
    const std::uint64_t maybe = bits_of(kWords, hn::Lt(least, found.thresholds));
    for (std::uint64_t ties = maybe ^ edges; ties != 0; ties &= ties - 1) {
      const int lane = __builtin_ctzll(ties);
      const int tie = i + lane;
      const bool wins =
          wins_tie(call, block, work.rows[tie], work.cells[tie], work.thresholds[tie]);
      edges |= std::uint64_t{wins} << lane;
    }
    const std::uint64_t saturated = edges & bits_of(kWords, found.saturated);
    work.edges[i / 64] |= edges << (i % 64);
    work.saturated[i / 64] |= saturated << (i % 64);
    any_saturated |= saturated;
  }
  int first = 0;
  for (int row = 0; row < call.rows; ++row) {
    const std::uint64_t candidates = work.bits[row].candidates;
    work.bits[row].edges |= deposit_bits(bits_from(work.edges, first), candidates);
    if (any_saturated != 0) {
      call.saturated[row][block] = deposit_bits(bits_from(work.saturated, first), candidates);
    }
    first += __builtin_popcountll(candidates);
  }
  if constexpr (kLaw == MaskLaw::kPoisson) {
    for (int i = 0; i < count; ++i) {
      call.thresholds[work.rows[i]][block * kBlockKeys + work.cells[i]] = work.thresholds[i];
    }
  }
}

template <MaskLaw kLaw>
HWY_INLINE void decide_by_length(const CellsCall& call, std::int64_t block, BlockWork& work) {
  switch ((call.clusters + 2 * kLanes - 1) / (2 * kLanes)) {
    case 1:
      return decide_candidates<kLaw, 1>(call, block, work);
    case 2:
      return decide_candidates<kLaw, 2>(call, block, work);
    case 4:
      return decide_candidates<kLaw, 4>(call, block, work);
    default:
      return decide_candidates<kLaw, 0>(call, block, work);
  }
}

HWY_INLINE void decide_candidates(const CellsCall& call, std::int64_t block, BlockWork& work) {
  if (call.law == MaskLaw::kPoisson) {
    decide_by_length<MaskLaw::kPoisson>(call, block, work);
  } else {
    decide_by_length<MaskLaw::kBernoulli>(call, block, work);
  }
}

#endif

/// Decides the candidates of a block and hands its edges out.
HWY_INLINE void finish_block(const CellsCall& call, std::int64_t block, BlockWork& work) {
  for (int row = 0; row < call.rows; ++row) call.saturated[row][block] = 0;
  if (work.candidates > 0) decide_candidates(call, block, work);
  for (int row = 0; row < call.rows; ++row) call.edges[row][block] = work.bits[row].edges;
  work.candidates = 0;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace sbm::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
