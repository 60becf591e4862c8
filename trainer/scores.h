#pragma once

#include <span>
#include <vector>

// Scores of the predictions for a whole split. Where a score is undefined (a constant predictor,
// no positive at all) it is 0, as GLUE counts it.
namespace sbm::trainer {

/// How often two classes, 0 and 1, were met and predicted; class 1 is the positive one.
struct Confusion {
  double true_positive = 0.0;
  double false_positive = 0.0;
  double false_negative = 0.0;
  double true_negative = 0.0;
};

/// Harmonic mean of precision and recall of class 1, in [0, 1]; 0 without a true positive.
double f1(const Confusion& counts);

/// Matthews' correlation of prediction and target, in [-1, 1]; 0 when either is constant.
double matthews(const Confusion& counts);

/// Pearson's correlation of two equally long lists of finite numbers, in [-1, 1]; 0 when either is
/// constant. Throws InternalError when their lengths differ.
double pearson(std::span<const double> predictions, std::span<const double> targets);

/// The places of the values in ascending order from 1; equal values share the mean of theirs.
std::vector<double> average_ranks(std::span<const double> values);

/// Spearman's correlation: Pearson's of the ranks.
double spearman(std::span<const double> predictions, std::span<const double> targets);

}  // namespace sbm::trainer
