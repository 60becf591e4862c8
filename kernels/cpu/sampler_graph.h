#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/sampler_forms.h"
#include "kernels/cpu/sampler_linear.h"
#include "kernels/cpu/sampler_rows.h"
#include "kernels/edge_list.h"
#include "kernels/sampling.h"

namespace sbm::kernels::cpu {

/// S of one head, quantised, column by column.
struct HeadBlock {
  DotTiles columns;
  std::vector<std::int32_t> exponents;  ///< [entry_stride(clusters)]

  /// `block_matrix` [clusters, clusters], finite and >= 0. Throws std::bad_alloc.
  void pack(const float* block_matrix, std::int64_t clusters);
};

/// Working memory of one piece of work: O(keys), a number for each cell of a group under POISSON.
struct SamplerScratch {
  alignas(64) std::uint16_t queries[kGroupRows][kWeightStride];
  alignas(64) std::uint16_t weights[kGroupRows][kWeightStride];
  alignas(64) std::uint32_t products[kGroupRows][kProductStride];
  std::uint8_t query_exponents[kGroupRows];
  std::int32_t row_exponents[kGroupRows];
  std::vector<std::uint64_t> edges;       ///< [kGroupRows, blocks]
  std::vector<std::uint64_t> saturated;   ///< [kGroupRows, blocks]
  std::vector<std::uint32_t> thresholds;  ///< [kGroupRows, keys] of the drawn cells
  std::vector<std::int32_t> columns;      ///< of one row
  FormScratch forms;
  LinearScratch linear;
  std::vector<LinearEdge> linear_edges;
};

/// Consecutive rows of a graph while they are drawn.
struct DrawnRows {
  EdgeList* list = nullptr;
  std::int64_t first_row = 0;
  std::int64_t closed_gates = 0;  ///< drawn edges whose gate is not 1
};

/// Empties a list, its memory kept; with one row offset, as a list without rows has.
void start_list(const SamplingParams& params, EdgeList& list);

/// The graph of one (sample, head): its quantised keys, and how rows become edges.
class GraphSampler {
 public:
  /// Chooses a graph. `params` and `block` must outlive the drawing. Throws std::bad_alloc.
  void begin(const SamplingParams& params, std::int64_t batch, std::int64_t head,
             const HeadBlock& block);
  /// Quantises keys [first, last); any number of threads at once. False when a valid one has a
  /// value outside [0, 1].
  bool quantize_keys(std::int64_t first, std::int64_t last);
  /// Gets ready to draw, when all keys are quantised. Throws std::bad_alloc.
  void prepare(CellForm form);

  /// Replaces rows.list by rows [first, last); its row_offsets get last - first + 1 entries, and
  /// its gates one for every edge under POISSON or as soon as one is closed. Any number of threads
  /// may draw at once. False when a query has a value outside [0, 1]. Throws std::bad_alloc.
  bool draw(std::int64_t first, std::int64_t last, SamplerScratch& scratch, DrawnRows& rows);

 private:
  [[nodiscard]] bool query_valid(std::int64_t row) const;
  [[nodiscard]] bool diagonal_valid(std::int64_t row) const;
  [[nodiscard]] static WeightRow weight_row(int member, const SamplerScratch& scratch);

  bool weigh_rows(std::int64_t first, int count, SamplerScratch& scratch) const;
  /// Makes room for the edges of `rows` rows if they are like the first `count`.
  void reserve_edges(const RowPlan* plans, int count, std::int64_t rows, EdgeList& list) const;
  void draw_cells(std::int64_t first, int count, const RowPlan* plans, SamplerScratch& scratch);
  void append_cells(std::int64_t row, int member, SamplerScratch& scratch, DrawnRows& rows) const;
  void append_linear(std::int64_t row, int member, const RowPlan& plan, SamplerScratch& scratch,
                     DrawnRows& rows) const;

  void append_row_probes(std::int64_t row, int member, const SamplerScratch& scratch,
                         EdgeList& list) const;

  const SamplingParams* params_ = nullptr;
  const HeadBlock* block_ = nullptr;
  const float* query_membership_ = nullptr;    ///< [queries, clusters]
  const float* key_membership_ = nullptr;      ///< [keys, clusters]
  const std::uint8_t* query_valid_ = nullptr;  ///< [queries] or null
  const std::uint8_t* key_valid_ = nullptr;    ///< [keys] or null
  PhiloxKey stream_ = 0;
  PhiloxKey probe_stream_ = 0;
  std::uint32_t exploration_ = 0;
  std::int64_t stride_ = 0;               ///< of entries_
  AlignedBuffer<std::uint16_t> entries_;  ///< [keys, stride]
  std::vector<std::uint8_t> exponents_;   ///< [keys]
  QuantizedKeys keys_;                    ///< all of them
  CellSampler cells_;
  KeySums sums_;
};

/// Gives every edge a gate if they have none yet: 1, but 0 on a forced diagonal edge. `first_row`
/// is the row of the list's first offset.
void open_gates(EdgeList& list, std::int64_t first_row);

}  // namespace sbm::kernels::cpu
