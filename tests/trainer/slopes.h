#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "tests/trainer/reference_encoder.h"
#include "trainer/parameters.h"

// Gradients of the encoder against central differences of the referee in double.
namespace sbm::trainer::testing_support {

/// Every parameter's gradient, the flat buffer cut by name.
class Gradients {
 public:
  explicit Gradients(ModelParameters& parameters)
      : parameters_(parameters), flat_(parameters.weights().size(), 0.0F) {
    parameters.bind_gradients(flat_);
  }

  [[nodiscard]] std::span<const float> of(const std::string& name) const {
    for (const auto& entry : parameters_.layout().entries()) {
      if (entry.spec.name == name) {
        return std::span(flat_).subspan(static_cast<std::size_t>(entry.range.begin),
                                        static_cast<std::size_t>(entry.range.size()));
      }
    }
    ADD_FAILURE() << name;
    return {};
  }

  [[nodiscard]] double largest(const std::string& name) const {
    double result = 0.0;
    for (const float value : of(name)) result = std::max(result, std::abs(double{value}));
    return result;
  }

  [[nodiscard]] const std::vector<float>& flat() const { return flat_; }

 private:
  ModelParameters& parameters_;
  std::vector<float> flat_;
};

/// Compares each parameter's gradient along a random direction with the slope of `loss`.
inline void expect_slopes(const ModelParameters& parameters, const Gradients& gradients,
                          const std::function<double(const Weights&)>& loss, double tolerance) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  constexpr double kStep = 1e-5;
  const Weights weights = copy_weights(parameters);
  for (const auto& [name, values] : weights) {
    Weights up = weights;
    Weights down = weights;
    double slope = 0.0;
    double scale = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double direction = normal(random);
      up[name][i] += kStep * direction;
      down[name][i] -= kStep * direction;
      slope += direction * gradients.of(name)[i];
      scale += std::abs(direction * gradients.of(name)[i]);
    }
    const double expected = (loss(up) - loss(down)) / (2 * kStep);
    EXPECT_NEAR(slope, expected, tolerance * (scale + 1e-3)) << name;
  }
}

}  // namespace sbm::trainer::testing_support
