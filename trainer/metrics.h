#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "data/batch.h"
#include "trainer/scores.h"

// What training and evaluation count, as plain vectors of doubles that add up: one a micro-batch,
// summed in the order of the tree by distributed::tree_all_reduce.
namespace sbm::trainer {

/// Sums over some samples. Averages are taken at the very end, so nothing depends on how samples
/// were grouped.
struct Totals {
  double loss = 0.0;                 ///< sum of -log p[target], or of squared errors of scores
  double correct = 0.0;              ///< targets whose most probable class was right; no scores
  double targets = 0.0;              ///< targets counted
  double samples = 0.0;              ///< samples seen
  double tokens = 0.0;               ///< tokens attended to
  double positions = 0.0;            ///< tokens and padding
  double true_positive = 0.0;        ///< targets of class 1 predicted to be of class 1
  double false_positive = 0.0;       ///< other targets predicted to be of class 1
  double false_negative = 0.0;       ///< targets of class 1 predicted to be of another
  std::vector<double> drawn_edges;   ///< [layers * heads], diagonal edges that were forced excluded
  std::vector<double> forced_edges;  ///< [layers * heads]
  std::vector<double> valid_cells;   ///< [layers * heads]

  [[nodiscard]] double padding() const;       ///< share of padding among the positions
  [[nodiscard]] double mean_loss() const;     ///< 0 without targets
  [[nodiscard]] double accuracy() const;      ///< in [0, 1]; 0 without targets
  [[nodiscard]] Confusion confusion() const;  ///< of two classes
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

/// What the model says, in double: class_probabilities(), or the predicted scores [batch, 1].
at::Tensor predictions(data::LabelKind labels, const at::Tensor& logits);

/// Counts one micro-batch. `predicted` double [..., classes] or, for scores, [batch, 1]
/// (predictions(), or the mean of several draws'), `targets` int64 [...] with kIgnoredTarget or
/// float [batch], `valid` bool [sequences, tokens], `edge_counts` int64 [layers, batch, heads, 3];
/// its sums over several draws may be given, since only ratios of them are reported. Of classes
/// equally probable the first counts as predicted.
Totals count_totals(data::LabelKind labels, const at::Tensor& predicted, const at::Tensor& targets,
                    const at::Tensor& valid, const at::Tensor& edge_counts);

/// The same numbers as Totals::pack() has them, double, on the device of the tensors given, without
/// waiting for it.
at::Tensor packed_totals(data::LabelKind labels, const at::Tensor& predicted,
                         const at::Tensor& targets, const at::Tensor& valid,
                         const at::Tensor& edge_counts);

/// The same of one training step of masked language, from what the step has computed anyway: the
/// probabilities of a whole vocabulary would cost as much again. `loss_sum` a scalar, `logits`
/// float [targets, vocabulary], `targets` int64 [targets]. Nothing is counted of class 1.
Totals count_masked_totals(const at::Tensor& loss_sum, const at::Tensor& logits,
                           const at::Tensor& targets, const at::Tensor& valid,
                           const at::Tensor& edge_counts);
at::Tensor packed_masked_totals(const at::Tensor& loss_sum, const at::Tensor& logits,
                                const at::Tensor& targets, const at::Tensor& valid,
                                const at::Tensor& edge_counts);

/// Adds up the predictions of several draws of the same samples and gives their mean.
class PredictionAverage {
 public:
  explicit PredictionAverage(data::LabelKind labels) : labels_(labels) {}
  void add(const at::Tensor& logits);
  /// As predictions(). Throws InternalError when nothing was added.
  [[nodiscard]] at::Tensor mean() const;

 private:
  data::LabelKind labels_;
  at::Tensor sum_;
  std::int64_t draws_ = 0;
};

}  // namespace sbm::trainer
