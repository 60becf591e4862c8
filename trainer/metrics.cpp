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

/// The scalars of Totals as tensors without dimensions, in the order of Totals::pack(); those that
/// stay undefined are 0.
struct Scalars {
  at::Tensor loss, correct, targets, samples, tokens;
  at::Tensor true_positive, false_positive, false_negative, positions;
};

at::Tensor count(const at::Tensor& flags) { return flags.sum(); }

at::Tensor known(std::int64_t value, const at::Tensor& beside) {
  return at::full({}, static_cast<double>(value), beside.options().dtype(at::kDouble));
}

/// `probabilities` double [targets, classes].
void count_classes(const at::Tensor& probabilities, const at::Tensor& targets, Scalars& totals) {
  const at::Tensor counted = targets.ne(kIgnoredTarget);
  const at::Tensor chosen = probabilities.gather(1, targets.clamp_min(0).unsqueeze(1)).squeeze(1);
  const at::Tensor losses = at::where(counted, -chosen.clamp_min(kLeastProbability).log(), 0.0);
  const at::Tensor guess = probabilities.argmax(1);
  const at::Tensor guessed_one = guess.eq(1).logical_and(counted);
  const at::Tensor is_one = targets.eq(1);
  totals.loss = losses.sum();
  totals.correct = count(guess.eq(targets).logical_and(counted));
  totals.targets = count(counted);
  totals.true_positive = count(guessed_one.logical_and(is_one));
  totals.false_positive = count(guessed_one) - totals.true_positive;
  totals.false_negative = count(is_one) - totals.true_positive;
}

/// Adds what does not depend on the kind of the targets, and packs.
at::Tensor pack(Scalars& totals, const at::Tensor& valid, const at::Tensor& edge_counts) {
  totals.samples = known(edge_counts.size(1), edge_counts);
  totals.tokens = count(valid);
  totals.positions = known(valid.numel(), valid);
  std::vector<at::Tensor> parts = {
      totals.loss,           totals.correct,        totals.targets,
      totals.samples,        totals.tokens,         totals.true_positive,
      totals.false_positive, totals.false_negative, totals.positions};
  for (at::Tensor& part : parts) {
    part = part.defined() ? part.detach().to(at::kDouble).reshape({1}) : known(0, valid).view({1});
  }
  // Over the batch, then kinds first: [3, layers, heads].
  parts.push_back(edge_counts.sum(1).movedim(-1, 0).to(at::kDouble).flatten());
  return at::cat(parts);
}

Totals unpacked(const at::Tensor& packed) {
  const at::Tensor host = packed.cpu();
  return Totals::unpack({host.const_data_ptr<double>(), static_cast<std::size_t>(host.numel())});
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

at::Tensor packed_totals(data::LabelKind labels, const at::Tensor& predicted,
                         const at::Tensor& targets, const at::Tensor& valid,
                         const at::Tensor& edge_counts) {
  Scalars totals;
  if (labels == data::LabelKind::kScore) {
    totals.loss = squared_error_sum(predicted, targets.to(at::kDouble));
    totals.targets = known(targets.size(0), targets);
  } else {
    count_classes(predicted.detach().flatten(0, -2).to(at::kDouble), targets.flatten(), totals);
  }
  return pack(totals, valid, edge_counts);
}

Totals count_totals(data::LabelKind labels, const at::Tensor& predicted, const at::Tensor& targets,
                    const at::Tensor& valid, const at::Tensor& edge_counts) {
  return unpacked(packed_totals(labels, predicted, targets, valid, edge_counts));
}

at::Tensor packed_masked_totals(const at::Tensor& loss_sum, const at::Tensor& logits,
                                const at::Tensor& targets, const at::Tensor& valid,
                                const at::Tensor& edge_counts) {
  Scalars totals;
  totals.loss = loss_sum;
  totals.correct = count(logits.detach().argmax(1).eq(targets));
  totals.targets = known(targets.size(0), targets);
  return pack(totals, valid, edge_counts);
}

Totals count_masked_totals(const at::Tensor& loss_sum, const at::Tensor& logits,
                           const at::Tensor& targets, const at::Tensor& valid,
                           const at::Tensor& edge_counts) {
  return unpacked(packed_masked_totals(loss_sum, logits, targets, valid, edge_counts));
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
