#include "trainer/metrics.h"

#include <ATen/ATen.h>

#include <numeric>

#include "base/error.h"
#include "trainer/loss.h"

namespace sbm::trainer {
namespace {

/// A probability that underflowed to 0 is a bad prediction, no infinite loss: -log of this is 690.
constexpr double kLeastProbability = 1e-300;

constexpr std::size_t kScalars = 5;
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

}  // namespace

double Totals::mean_loss() const { return ratio(loss, targets); }

double Totals::accuracy() const { return ratio(correct, targets); }

std::vector<double> Totals::head_density() const { return ratios(drawn_edges, valid_cells); }

double Totals::density() const { return mean(head_density()); }

double Totals::density_with_self_loops() const {
  return density() + mean(ratios(forced_edges, valid_cells));
}

std::vector<double> Totals::pack() const {
  std::vector<double> values = {loss, correct, targets, samples, tokens};
  for (const std::vector<double>* counts : {&drawn_edges, &forced_edges, &valid_cells}) {
    values.insert(values.end(), counts->begin(), counts->end());
  }
  return values;
}

Totals Totals::unpack(std::span<const double> values) {
  if (values.size() < kScalars || (values.size() - kScalars) % kCountsOfAHead != 0) {
    throw InternalError("totals: expected 5 numbers and 3 for each head, found " +
                        std::to_string(values.size()));
  }
  Totals totals;
  totals.loss = values[0];
  totals.correct = values[1];
  totals.targets = values[2];
  totals.samples = values[3];
  totals.tokens = values[4];
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

Totals count_totals(const at::Tensor& probabilities, const at::Tensor& targets,
                    const at::Tensor& valid, const at::Tensor& edge_counts) {
  const at::Tensor rows = probabilities.detach().flatten(0, -2).to(at::kDouble);
  const at::Tensor classes = targets.flatten();
  const at::Tensor counted = classes.ne(kIgnoredTarget);
  const at::Tensor chosen = rows.gather(1, classes.clamp_min(0).unsqueeze(1)).squeeze(1);
  const at::Tensor losses = at::where(counted, -chosen.clamp_min(kLeastProbability).log(), 0.0);
  const at::Tensor hits = rows.argmax(1).eq(classes).logical_and(counted);
  Totals totals;
  totals.loss = losses.sum().item<double>();
  totals.correct = static_cast<double>(hits.sum().item<std::int64_t>());
  totals.targets = static_cast<double>(counted.sum().item<std::int64_t>());
  totals.samples = static_cast<double>(valid.size(0));
  totals.tokens = static_cast<double>(valid.sum().item<std::int64_t>());
  const at::Tensor counts = edge_counts.sum(1);  // over the batch: [layers, heads, 3]
  totals.drawn_edges = to_vector(counts.select(-1, 0));
  totals.forced_edges = to_vector(counts.select(-1, 1));
  totals.valid_cells = to_vector(counts.select(-1, 2));
  return totals;
}

void ProbabilityAverage::add(const at::Tensor& logits) {
  const at::Tensor probabilities = class_probabilities(logits);
  sum_ = draws_ == 0 ? probabilities : sum_ + probabilities;
  ++draws_;
}

at::Tensor ProbabilityAverage::mean() const {
  if (draws_ == 0) throw InternalError("average of probabilities: no draw was added");
  return sum_ / static_cast<double>(draws_);
}

}  // namespace sbm::trainer
