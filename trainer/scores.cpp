#include "trainer/scores.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>

#include "base/error.h"

namespace sbm::trainer {
namespace {

/// The values less their mean. Exactly zero for a constant list, whose mean may be rounded.
std::vector<double> centred(std::span<const double> values) {
  std::vector<double> result(values.size(), 0.0);
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  if (values.empty() || *least == *most) return result;
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  std::transform(values.begin(), values.end(), result.begin(),
                 [mean](double value) { return value - mean; });
  return result;
}

double length(const std::vector<double>& values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

}  // namespace

double f1(const Confusion& counts) {
  const double both = 2.0 * counts.true_positive;
  return both > 0.0 ? both / (both + counts.false_positive + counts.false_negative) : 0.0;
}

double matthews(const Confusion& counts) {
  const double predicted = counts.true_positive + counts.false_positive;
  const double present = counts.true_positive + counts.false_negative;
  const double not_predicted = counts.true_negative + counts.false_negative;
  const double not_present = counts.true_negative + counts.false_positive;
  const double scale = std::sqrt(predicted * not_predicted) * std::sqrt(present * not_present);
  if (scale == 0.0) return 0.0;
  return std::clamp((counts.true_positive * counts.true_negative -
                     counts.false_positive * counts.false_negative) /
                        scale,
                    -1.0, 1.0);
}

double pearson(std::span<const double> predictions, std::span<const double> targets) {
  if (predictions.size() != targets.size()) {
    throw InternalError("correlation: expected as many predictions as targets, found " +
                        std::to_string(predictions.size()) + " and " +
                        std::to_string(targets.size()));
  }
  std::vector<double> x = centred(predictions);
  std::vector<double> y = centred(targets);
  // Lengths first: products of tiny or huge deviations would leave the range of double.
  const double x_length = length(x);
  const double y_length = length(y);
  if (x_length == 0.0 || y_length == 0.0) return 0.0;
  double sum = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] / x_length) * (y[i] / y_length);
  return std::clamp(sum, -1.0, 1.0);
}

std::vector<double> average_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [values](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double rank = (static_cast<double>(begin + end) + 1.0) / 2.0;
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = rank;
    begin = end;
  }
  return ranks;
}

double spearman(std::span<const double> predictions, std::span<const double> targets) {
  return pearson(average_ranks(predictions), average_ranks(targets));
}

}  // namespace sbm::trainer
