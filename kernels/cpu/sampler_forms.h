#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "kernels/cpu/sampler.h"
#include "kernels/cpu/sampler_rows.h"
#include "kernels/sampler_operands.h"
#include "kernels/sampling.h"

namespace sbm::kernels::cpu {

/// A row that takes the first branch.
struct CellRow {
  std::uint32_t number = 0;
  WeightRow weights;
  float expected = 0.0F;                ///< sum over its cells of P + exploration
  bool may_saturate = false;            ///< whether some P + exploration may reach 1
  std::uint64_t* edges = nullptr;       ///< out [blocks]: the drawn cells
  std::uint64_t* saturated = nullptr;   ///< out [blocks]: the saturated among them
  std::uint32_t* thresholds = nullptr;  ///< POISSON, out [keys]: T of the drawn cells
};

/// Working memory of drawing a group of rows: O(keys).
struct FormScratch {
  AlignedBuffer<std::uint32_t> bound_sums;
  AlignedBuffer<std::int32_t> limits;
};

/// The first branch on one graph: chooses how each row is drawn.
class CellSampler {
 public:
  /// `keys` has entries of stride entry_stride(clusters), aligned to vectors, and is kept. Throws
  /// std::bad_alloc.
  void prepare(const QuantizedKeys& keys, PhiloxKey stream, MaskLaw law, std::uint32_t exploration,
               CellForm form);

  /// Draws up to kGroupRows rows; there is a valid key. Any number of threads may draw at once.
  /// Throws std::bad_alloc.
  void draw(std::span<const CellRow> rows, FormScratch& scratch);

  [[nodiscard]] std::int64_t blocks() const { return std::ssize(valid_bits_); }

 private:
  /// What only one of the forms needs of the keys: packed when the first row takes it.
  void pack_for(CellForm form);
  [[nodiscard]] CellsCall new_call() const;
  static void add_row(const CellRow& row, CellsCall& call);
  [[nodiscard]] CellForm dense_form(const CellRow& row) const;

  QuantizedKeys keys_;
  PhiloxKey stream_ = 0;
  MaskLaw law_ = MaskLaw::kBernoulli;
  std::uint32_t exploration_ = 0;
  CellForm form_ = CellForm::kFastest;
  FormCosts costs_;
  std::int64_t valid_keys_ = 0;
  int least_exponent_ = 0;
  std::vector<std::uint64_t> valid_bits_;       ///< [blocks]
  AlignedBuffer<std::uint64_t> call_products_;  ///< [blocks, 8]

  std::mutex pack_mutex_;
  bool has_tiles_ = false;
  bool has_coarse_ = false;
  bool has_bounds_ = false;
  DotTiles tiles_;
  AlignedBuffer<std::int32_t> slot_exponents_;
  CoarseTiles coarse_;
  KeyBounds bounds_;
};

}  // namespace sbm::kernels::cpu
