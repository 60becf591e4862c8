#pragma once

#include <cstdint>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_dense_product.cuh"
#include "kernels/cuda/sampling_cells.cuh"
#include "kernels/sampler_threshold.h"

// With which probability the cells of a tile were drawn, from the sampler's own integers: the q are
// to the bit those that the sampler keeps with an edge list, and so are the gates but for a
// rounding of POISSON's.
namespace sbm::kernels::cuda::dense {

/// One side's integers of one graph.
struct LawSide {
  const EntryBytes* entries = nullptr;  ///< [count, units]
  int count = 0;
  int units = 0;

  /// Unit `unit` of a token's row; zeros beyond the last token.
  [[nodiscard]] __device__ __forceinline__ EntryBytes unit(int token, int index) const {
    if (token >= count) return {};
    return entries[std::int64_t{token} * units + index];
  }
};

/// Stands for the q of a cell with P + delta >= 1.
inline constexpr float kSaturated = -1.0F;

/// dq/dP of a cell, given its q.
__device__ __forceinline__ float gate_of(MaskLaw law, float probability) {
  if (probability == kSaturated) return 0.0F;
  return law == MaskLaw::kPoisson ? 1.0F - probability : 1.0F;
}

/// The law of one graph, seen from the side whose tokens a warp owns.
struct GraphLaw {
  LawSide own;
  LawSide other;
  const std::int32_t* row_exponents = nullptr;  ///< [queries]
  const std::uint8_t* key_exponents = nullptr;  ///< [keys]
  MaskLaw law = MaskLaw::kBernoulli;
  std::uint32_t exploration = 0;

  /// The accumulators of 16 own tokens by 8 others, in the layout of mma's sums.
  [[nodiscard]] __device__ __forceinline__ CellFragment accumulate(int own_first, int other_first,
                                                                   const Lane& me) const {
    CellFragment cells;
#pragma unroll 1
    for (int unit = me.quad; unit < own.units; unit += kStepUnits) {
      cells.add(own.unit(own_first + me.group, unit), own.unit(own_first + 8 + me.group, unit),
                other.unit(other_first + me.group, unit));
    }
    return cells;
  }

  /// Whether P + delta reached 1 in a cell, so that nothing is passed on to P.
  [[nodiscard]] __device__ __forceinline__ bool is_saturated_cell(std::uint32_t accumulator,
                                                                  int row, int key) const {
    return is_saturated(units_of(accumulator, row, key), exploration);
  }

  /// q of a cell, kSaturated where nothing is passed on to P.
  [[nodiscard]] __device__ __forceinline__ float probability(std::uint32_t accumulator, int row,
                                                             int key) const {
    const std::uint32_t units = units_of(accumulator, row, key);
    if (is_saturated(units, exploration)) return kSaturated;
    return static_cast<float>(edge_threshold(law, units, exploration)) * 0x1p-32F;
  }

 private:
  [[nodiscard]] __device__ __forceinline__ std::uint32_t units_of(std::uint32_t accumulator,
                                                                  int row, int key) const {
    return probability_units(accumulator, row_exponents[row] + key_exponents[key]);
  }
};

}  // namespace sbm::kernels::cuda::dense
