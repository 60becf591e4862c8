#include "trainer/metrics.h"

#include <ATen/ATen.h>

#include <numeric>

#include "base/error.h"
#include "trainer/loss.h"

namespace sbm::trainer {
namespace {

/// A probability that underflowed to 0 is a bad prediction, no infinite loss: -log of this is 690.
constexpr double kLeastProbability = 1e-300;

constexpr std::size_t kScalars = 9;
constexpr std::size_t kCountsOfAHead = 3;

double ratio(double part, double whole) { return whole > 0.0 ? part / whole : 0.0; }

std::vector<double> ratios(const std::vector<double>& parts, const std::vector<double>& wholes) {
  std::vector<double> result(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) result[i] = ratio(parts[i], wholes[i]);
  return result;
}

double mean(const std::vector<double>& values) {
  return ratio(std::accumulate(values.begin(), values.end(), 0.0),
               static_cast<double>(values.size()));
}

std::vector<double> to_vector(const at::Tensor& counts) {
  const at::Tensor flat = counts.to(at::kDouble).flatten().contiguous();
  const double* values = flat.const_data_ptr<double>();
  return {values, values + flat.numel()};
}

double count(const at::Tensor& flags) {
  return static_cast<double>(flags.sum().item<std::int64_t>());
}

/// `probabilities` double [targets, classes].
void count_classes(const at::Tensor& probabilities, const at::Tensor& targets, Totals& totals) {
  const at::Tensor counted = targets.ne(kIgnoredTarget);
  const at::Tensor chosen = probabilities.gather(1, targets.clamp_min(0).unsqueeze(1)).squeeze(1);
  const at::Tensor losses = at::where(counted, -chosen.clamp_min(kLeastProbability).log(), 0.0);
  const at::Tensor guess = probabilities.argmax(1);
  const at::Tensor guessed_one = guess.eq(1).logical_and(counted);
  const at::Tensor is_one = targets.eq(1);
  totals.loss = losses.sum().item<double>();
  totals.correct = count(guess.eq(targets).logical_and(counted));
  totals.targets = count(counted);
  totals.true_positive = count(guessed_one.logical_and(is_one));
  totals.false_positive = count(guessed_one) - totals.true_positive;
  totals.false_negative = count(is_one) - totals.true_positive;
}

/// What does not depend on the kind of the targets.
void count_inputs(const at::Tensor& valid, const at::Tensor& edge_counts, Totals& totals) {
  totals.samples = static_cast<double>(edge_counts.size(1));
  totals.tokens = count(valid);
  totals.positions = static_cast<double>(valid.numel());
  const at::Tensor counts = edge_counts.sum(1);  // over the batch: [layers, heads, 3]
  totals.drawn_edges = to_vector(counts.select(-1, 0));
  totals.forced_edges = to_vector(counts.select(-1, 1));
  totals.valid_cells = to_vector(counts.select(-1, 2));
}

}  // namespace

double Totals::padding() const { return positions > 0.0 ? 1.0 - tokens / positions : 0.0; }

double Totals::mean_loss() const { return ratio(loss, targets); }

double Totals::accuracy() const { return ratio(correct, targets); }

Confusion Totals::confusion() const {
  return {.true_positive = true_positive,
          .false_positive = false_positive,
          .false_negative = false_negative,
          .true_negative = targets - true_positive - false_positive - false_negative};
}

std::vector<double> Totals::head_density() const { return ratios(drawn_edges, valid_cells); }

double Totals::density() const { return mean(head_density()); }

double Totals::density_with_self_loops() const {
  return density() + mean(ratios(forced_edges, valid_cells));
}

std::vector<double> Totals::pack() const {
  std::vector<double> values = {loss,          correct,        targets,        samples,  tokens,
                                true_positive, false_positive, false_negative, positions};
  for (const std::vector<double>* counts : {&drawn_edges, &forced_edges, &valid_cells}) {
    values.insert(values.end(), counts->begin(), counts->end());
  }
  return values;
}

Totals Totals::unpack(std::span<const double> values) {
  if (values.size() < kScalars || (values.size() - kScalars) % kCountsOfAHead != 0) {
    throw InternalError("totals: expected 9 numbers and 3 for each head, found " +
                        std::to_string(values.size()));
  }
  Totals totals;
  totals.loss = values[0];
  totals.correct = values[1];
  totals.targets = values[2];
  totals.samples = values[3];
  totals.tokens = values[4];
  totals.true_positive = values[5];
  totals.false_positive = values[6];
  totals.false_negative = values[7];
  totals.positions = values[8];
  const std::size_t heads = (values.size() - kScalars) / kCountsOfAHead;
  const auto block = [&](std::size_t index) {
    const std::span<const double> part = values.subspan(kScalars + index * heads, heads);
    return std::vector<double>(part.begin(), part.end());
  };
  totals.drawn_edges = block(0);
  totals.forced_edges = block(1);
  totals.valid_cells = block(2);
  return totals;
}

std::int64_t totals_width(std::int64_t layers, std::int64_t heads) {
  return static_cast<std::int64_t>(kScalars) +
         static_cast<std::int64_t>(kCountsOfAHead) * layers * heads;
}

at::Tensor class_probabilities(const at::Tensor& logits) {
  return logits.detach().to(at::kDouble).softmax(-1);
}

at::Tensor predictions(data::LabelKind labels, const at::Tensor& logits) {
  return labels == data::LabelKind::kScore ? logits.detach().to(at::kDouble)
                                           : class_probabilities(logits);
}

Totals count_totals(data::LabelKind labels, const at::Tensor& predicted, const at::Tensor& targets,
                    const at::Tensor& valid, const at::Tensor& edge_counts) {
  Totals totals;
  if (labels == data::LabelKind::kScore) {
    totals.loss = squared_error_sum(predicted, targets.to(at::kDouble)).item<double>();
    totals.targets = static_cast<double>(targets.size(0));
  } else {
    count_classes(predicted.detach().flatten(0, -2).to(at::kDouble), targets.flatten(), totals);
  }
  count_inputs(valid, edge_counts, totals);
  return totals;
}

Totals count_masked_totals(const at::Tensor& loss_sum, const at::Tensor& logits,
                           const at::Tensor& targets, const at::Tensor& valid,
                           const at::Tensor& edge_counts) {
  Totals totals;
  totals.loss = loss_sum.item<double>();
  totals.correct = count(logits.detach().argmax(1).eq(targets));
  totals.targets = static_cast<double>(targets.size(0));
  count_inputs(valid, edge_counts, totals);
  return totals;
}

void PredictionAverage::add(const at::Tensor& logits) {
  const at::Tensor predicted = predictions(labels_, logits);
  sum_ = draws_ == 0 ? predicted : sum_ + predicted;
  ++draws_;
}

at::Tensor PredictionAverage::mean() const {
  if (draws_ == 0) throw InternalError("average of predictions: no draw was added");
  return sum_ / static_cast<double>(draws_);
}

}  // namespace sbm::trainer
