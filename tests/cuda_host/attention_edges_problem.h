#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "cuda_host/device_buffer.h"
#include "kernels/cuda/attention.h"
#include "kernels/edge_list.h"
#include "kernels/reference/attention.h"
#include "kernels/reference/attention_estimator.h"

// Attention problems for the edge-list kernels of the GPU, and their answers by the reference.
namespace sbm::cuda_host {

using kernels::EdgeList;
using kernels::Estimator;
using kernels::HeadTensor;
using kernels::cuda::Precision;
using kernels::reference::Matrix;

inline std::uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  // Round half to even; the values of tests are finite.
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

inline float from_bfloat16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// A [batch, heads, tokens, width] tensor on the device that lies as [batch, tokens, heads, width +
/// gap]. What is not written stays full of 0xFF.
class DeviceTensor {
 public:
  DeviceTensor(std::int64_t batch, std::int64_t heads, std::int64_t tokens, std::int64_t width,
               std::int64_t gap, Precision precision, const std::string& name)
      : heads_(heads),
        tokens_(tokens),
        width_(width),
        pitch_(width + gap),
        precision_(precision),
        bytes_(static_cast<std::size_t>(batch * tokens * heads * pitch_) * element_bytes(), name) {}

  /// Fills the rows, rounded to the precision, by draw().
  template <class Draw>
  void fill(const Draw& draw) {
    std::vector<std::uint8_t> bytes(bytes_.size(), 0xFF);
    const std::size_t elements = bytes.size() / element_bytes();
    for (std::size_t i = 0; i < elements; ++i) {
      if (static_cast<std::int64_t>(i) % pitch_ >= width_) continue;
      const float value = draw();
      if (precision_ == Precision::kBfloat16) {
        const std::uint16_t rounded = to_bfloat16(value);
        std::memcpy(bytes.data() + i * sizeof(rounded), &rounded, sizeof(rounded));
      } else {
        std::memcpy(bytes.data() + i * sizeof(value), &value, sizeof(value));
      }
    }
    bytes_.upload(bytes);
  }

  [[nodiscard]] HeadTensor<void> view() const {
    return {.data = bytes_.data(),
            .batch_stride = tokens_ * heads_ * pitch_,
            .head_stride = pitch_,
            .token_stride = heads_ * pitch_};
  }
  [[nodiscard]] HeadTensor<const void> const_view() const {
    const HeadTensor<void> tensor = view();
    return {tensor.data, tensor.batch_stride, tensor.head_stride, tensor.token_stride};
  }

  [[nodiscard]] std::vector<std::uint8_t> bytes() const { return bytes_.download(); }

  /// A head of `bytes`, which were downloaded.
  [[nodiscard]] Matrix matrix(const std::vector<std::uint8_t>& bytes, std::int64_t batch,
                              std::int64_t head) const {
    Matrix result(tokens_, width_);
    for (std::int64_t t = 0; t < tokens_; ++t) {
      const std::int64_t row = ((batch * tokens_ + t) * heads_ + head) * pitch_;
      for (std::int64_t c = 0; c < width_; ++c) {
        const auto at = static_cast<std::size_t>(row + c) * element_bytes();
        float value = 0.0F;
        if (precision_ == Precision::kBfloat16) {
          std::uint16_t rounded = 0;
          std::memcpy(&rounded, bytes.data() + at, sizeof(rounded));
          value = from_bfloat16(rounded);
        } else {
          std::memcpy(&value, bytes.data() + at, sizeof(value));
        }
        result(t, c) = static_cast<double>(value);
      }
    }
    return result;
  }

  /// Whether nothing was written beyond the rows.
  [[nodiscard]] bool gaps_untouched(const std::vector<std::uint8_t>& bytes) const {
    const auto pitch = static_cast<std::size_t>(pitch_) * element_bytes();
    const auto used = static_cast<std::size_t>(width_) * element_bytes();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (i % pitch >= used && bytes[i] != 0xFF) return false;
    }
    return true;
  }

 private:
  [[nodiscard]] std::size_t element_bytes() const {
    return precision_ == Precision::kBfloat16 ? sizeof(std::uint16_t) : sizeof(float);
  }

  std::int64_t heads_;
  std::int64_t tokens_;
  std::int64_t width_;
  std::int64_t pitch_;
  Precision precision_;
  DeviceBuffer<std::uint8_t> bytes_;
};

/// The cells of graphs on the device, along rows or along columns.
class DeviceCells {
 public:
  struct Line {
    std::vector<std::uint16_t> others;
    std::vector<float> gates;
    std::vector<float> probabilities;
  };

  /// Of the edges or the probes of `graphs`. `capacity` leaves room behind the longest graph.
  DeviceCells(const std::vector<EdgeList>& graphs, std::int64_t queries, std::int64_t keys,
              bool of_probes, bool by_columns, const std::string& name) {
    const std::int64_t lines = by_columns ? keys : queries;
    std::size_t most = 0;
    bool has_probabilities = of_probes;
    for (const EdgeList& graph : graphs) {
      most = std::max(most, of_probes ? graph.probes.columns.size() : graph.columns.size());
      has_probabilities |= !graph.probabilities.empty();
    }
    const std::size_t capacity = most + 3;
    std::vector<std::uint32_t> offsets;
    std::vector<std::uint16_t> others(graphs.size() * capacity);
    std::vector<float> gates(others.size());
    std::vector<float> probabilities(others.size());
    for (std::size_t g = 0; g < graphs.size(); ++g) {
      std::size_t at = g * capacity;
      offsets.push_back(0);
      for (const Line& line : lines_of(graphs[g], queries, lines, of_probes, by_columns)) {
        std::copy(line.others.begin(), line.others.end(), others.begin() + index(at));
        std::copy(line.gates.begin(), line.gates.end(), gates.begin() + index(at));
        std::copy(line.probabilities.begin(), line.probabilities.end(),
                  probabilities.begin() + index(at));
        at += line.others.size();
        offsets.push_back(static_cast<std::uint32_t>(at - g * capacity));
      }
    }
    offsets_.emplace(offsets, name + " offsets");
    others_.emplace(others, name + " others");
    gates_.emplace(gates, name + " gates");
    if (has_probabilities) probabilities_.emplace(probabilities, name + " probabilities");
    list_ = {.offsets = offsets_->data(),
             .others = others_->data(),
             .gates = gates_->data(),
             .probabilities = has_probabilities ? probabilities_->data() : nullptr,
             .capacity = static_cast<std::int64_t>(capacity)};
  }

  [[nodiscard]] const kernels::cuda::CellList& list() const { return list_; }

 private:
  static std::ptrdiff_t index(std::size_t at) { return static_cast<std::ptrdiff_t>(at); }

  static std::vector<Line> lines_of(const EdgeList& graph, std::int64_t queries, std::int64_t count,
                                    bool of_probes, bool by_columns) {
    const auto& row_offsets = of_probes ? graph.probes.row_offsets : graph.row_offsets;
    const auto& columns = of_probes ? graph.probes.columns : graph.columns;
    const auto& gates = of_probes ? graph.probes.gates : graph.gates;
    const auto& probabilities = of_probes ? graph.probes.probabilities : graph.probabilities;
    std::vector<Line> lines(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < queries; ++i) {
      const auto row = static_cast<std::size_t>(i);
      for (auto e = static_cast<std::size_t>(row_offsets[row]);
           e < static_cast<std::size_t>(row_offsets[row + 1]); ++e) {
        const std::int64_t j = columns[e];
        Line& line = lines[static_cast<std::size_t>(by_columns ? j : i)];
        line.others.push_back(static_cast<std::uint16_t>(by_columns ? i : j));
        // Without gates all are open but those of the forced diagonal.
        const bool forced = !of_probes && graph.diagonal_forced && i == j;
        line.gates.push_back(!gates.empty() ? gates[e] : forced ? 0.0F : 1.0F);
        line.probabilities.push_back(probabilities.empty() ? 0.0F : probabilities[e]);
      }
    }
    return lines;
  }

  std::optional<DeviceBuffer<std::uint32_t>> offsets_;
  std::optional<DeviceBuffer<std::uint16_t>> others_;
  std::optional<DeviceBuffer<float>> gates_;
  std::optional<DeviceBuffer<float>> probabilities_;
  kernels::cuda::CellList list_;
};

/// The distance of two matrices over the size of the expected one. A line with one edge has
/// gradients of exactly 0, as differences of numbers near 1.
inline double relative_distance(const Matrix& found, const Matrix& expected) {
  double distance = 0.0;
  double size = 0.0;
  for (std::size_t i = 0; i < expected.values().size(); ++i) {
    const double difference = found.values()[i] - expected.values()[i];
    distance += difference * difference;
    size += expected.values()[i] * expected.values()[i];
  }
  constexpr double kCancellation = 0.5;
  return std::sqrt(distance) / (std::sqrt(size) + kCancellation);
}

}  // namespace sbm::cuda_host
