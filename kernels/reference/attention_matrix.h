#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace sbm::kernels::reference {

/// A dense row-major matrix of doubles: all that the reference computes with.
class Matrix {
 public:
  Matrix() = default;
  Matrix(std::int64_t rows, std::int64_t columns, double value = 0.0)
      : rows_(rows), columns_(columns), values_(static_cast<std::size_t>(rows * columns), value) {}

  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t columns() const { return columns_; }
  [[nodiscard]] bool empty() const { return values_.empty(); }

  [[nodiscard]] double& operator()(std::int64_t row, std::int64_t column) {
    return values_[static_cast<std::size_t>(row * columns_ + column)];
  }
  [[nodiscard]] double operator()(std::int64_t row, std::int64_t column) const {
    return values_[static_cast<std::size_t>(row * columns_ + column)];
  }

  [[nodiscard]] std::vector<double>& values() { return values_; }
  [[nodiscard]] const std::vector<double>& values() const { return values_; }

 private:
  std::int64_t rows_ = 0;
  std::int64_t columns_ = 0;
  std::vector<double> values_;
};

[[nodiscard]] inline Matrix transposed(const Matrix& matrix) {
  Matrix result(matrix.columns(), matrix.rows());
  for (std::int64_t i = 0; i < matrix.rows(); ++i) {
    for (std::int64_t j = 0; j < matrix.columns(); ++j) result(j, i) = matrix(i, j);
  }
  return result;
}

/// The matrix product. Throws InternalError when the inner sizes differ.
[[nodiscard]] inline Matrix product(const Matrix& left, const Matrix& right) {
  if (left.columns() != right.rows()) {
    throw InternalError("matrix product: expected equal inner sizes, found " +
                        std::to_string(left.columns()) + " and " + std::to_string(right.rows()));
  }
  Matrix result(left.rows(), right.columns());
  for (std::int64_t i = 0; i < left.rows(); ++i) {
    for (std::int64_t l = 0; l < left.columns(); ++l) {
      for (std::int64_t j = 0; j < right.columns(); ++j) {
        result(i, j) += left(i, l) * right(l, j);
      }
    }
  }
  return result;
}

}  // namespace sbm::kernels::reference
