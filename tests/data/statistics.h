#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

// Statistical checks. All draws in these tests have fixed seeds, so a passing test passes always;
// the stated rate is the chance that a correct program fails when the seeds are changed.
namespace sbm::data {

/// z = 4.75 is passed by chance once in a million.
constexpr double kOneInAMillion = 4.75;

/// Chi-square of `x` with `freedom` degrees as a standard normal (Wilson and Hilferty).
inline double chi_square_z(double x, double freedom) {
  const double spread = 2.0 / (9.0 * freedom);
  return (std::cbrt(x / freedom) - (1.0 - spread)) / std::sqrt(spread);
}

/// How far counts are from `expected` ones.
inline double fit_z(const std::vector<double>& counts, const std::vector<double>& expected) {
  double x = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    x += (counts[i] - expected[i]) * (counts[i] - expected[i]) / expected[i];
  }
  return chi_square_z(x, static_cast<double>(counts.size()) - 1);
}

inline double uniform_z(const std::vector<double>& counts) {
  double total = 0;
  for (const double count : counts) total += count;
  return fit_z(counts,
               std::vector<double>(counts.size(), total / static_cast<double>(counts.size())));
}

/// Whether two histograms over the same classes come from one law; classes empty in both are left
/// out.
inline double two_sample_z(const std::vector<double>& a, const std::vector<double>& b) {
  double total_a = 0;
  double total_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    total_a += a[i];
    total_b += b[i];
  }
  double x = 0;
  double classes = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] + b[i] == 0) continue;
    const double difference =
        a[i] * std::sqrt(total_b / total_a) - b[i] * std::sqrt(total_a / total_b);
    x += difference * difference / (a[i] + b[i]);
    classes += 1;
  }
  return chi_square_z(x, classes - 1);
}

/// Kolmogorov-Smirnov: the largest distance of two empirical distributions over the distance that
/// is passed once in a million.
inline double kolmogorov_ratio(std::vector<double> a, std::vector<double> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  double distance = 0;
  std::size_t j = 0;
  for (std::size_t i = 0; i < a.size();) {
    const double value = a[i];
    while (i < a.size() && a[i] == value) ++i;
    while (j < b.size() && b[j] <= value) ++j;
    distance = std::max(distance, std::abs(static_cast<double>(i) / static_cast<double>(a.size()) -
                                           static_cast<double>(j) / static_cast<double>(b.size())));
  }
  const auto n = static_cast<double>(a.size());
  const auto m = static_cast<double>(b.size());
  return distance / std::sqrt(-std::log(0.5e-6) / 2 * (n + m) / (n * m));
}

inline double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

/// The difference of two means in standard errors.
inline double mean_z(const std::vector<double>& a, const std::vector<double>& b) {
  const auto error = [](const std::vector<double>& values) {
    const double centre = mean(values);
    double sum = 0;
    for (const double value : values) sum += (value - centre) * (value - centre);
    const auto n = static_cast<double>(values.size());
    return sum / (n - 1) / n;
  };
  return (mean(a) - mean(b)) / std::sqrt(error(a) + error(b));
}

}  // namespace sbm::data
