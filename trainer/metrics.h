#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

// What training and evaluation count, as plain vectors of doubles that add up: one a micro-batch,
// summed in the order of the tree by distributed::tree_all_reduce.
namespace sbm::trainer {

/// Sums over some samples. Averages are taken at the very end, so nothing depends on how samples
/// were grouped.
struct Totals {
  double loss = 0.0;                 ///< sum of -log p[target]
  double correct = 0.0;              ///< targets whose most probable class was right
  double targets = 0.0;              ///< targets counted
  double samples = 0.0;              ///< samples seen
  double tokens = 0.0;               ///< valid tokens
  std::vector<double> drawn_edges;   ///< [layers * heads], diagonal edges that were forced excluded
  std::vector<double> forced_edges;  ///< [layers * heads]
  std::vector<double> valid_cells;   ///< [layers * heads]

  [[nodiscard]] double mean_loss() const;  ///< 0 without targets
  [[nodiscard]] double accuracy() const;   ///< in [0, 1]; 0 without targets
  /// Drawn edges over valid cells of each (layer, head).
  [[nodiscard]] std::vector<double> head_density() const;
  [[nodiscard]] double density() const;                  ///< mean of head_density()
  [[nodiscard]] double density_with_self_loops() const;  ///< the same, forced edges included

  /// The numbers in a fixed order, totals_width() of them.
  [[nodiscard]] std::vector<double> pack() const;
  static Totals unpack(std::span<const double> values);
};

/// Length of Totals::pack() for a model.
std::int64_t totals_width(std::int64_t layers, std::int64_t heads);

/// The softmax over the last dimension, in double: in float a prediction that is sure by more than
/// 17 has a loss of 0, and one that is wrong by more than 103 the loss of a probability of 0.
at::Tensor class_probabilities(const at::Tensor& logits);

/// Counts one micro-batch. `probabilities` double [..., classes] (class_probabilities(), or the
/// mean of several draws'), `targets` int64 [...] with kIgnoredTarget, `valid` bool [batch,
/// tokens], `edge_counts` int64 [layers, batch, heads, 3]; its sums over several draws may be
/// given, since only ratios of them are reported. Of classes equally probable the first counts as
/// predicted.
Totals count_totals(const at::Tensor& probabilities, const at::Tensor& targets,
                    const at::Tensor& valid, const at::Tensor& edge_counts);

/// Adds up the softmaxes of several draws of the same samples and gives their mean.
class ProbabilityAverage {
 public:
  void add(const at::Tensor& logits);
  /// double [..., classes]. Throws InternalError when nothing was added.
  [[nodiscard]] at::Tensor mean() const;

 private:
  at::Tensor sum_;
  std::int64_t draws_ = 0;
};

}  // namespace sbm::trainer
