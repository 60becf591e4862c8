#pragma once

#include <cuda_bf16.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "cuda_host/device_buffer.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/sampling_operands.h"
#include "kernels/reference/attention_matrix.h"
#include "kernels/sampling.h"

// What a test of the dense-masked path asks for, and how its answer is held and judged.
namespace sbm::kernels::cuda {

using cuda_host::DeviceBuffer;
using reference::Matrix;

struct DenseSpec {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t queries = 1;
  std::int64_t keys = 1;
  std::int64_t head_dim = 32;
  std::int64_t clusters = 4;
  float mass = 0.9F;  ///< of S: P is about a quarter of it
  MaskLaw law = MaskLaw::kBernoulli;
  SelfLoops self_loops = SelfLoops::kAdd;
  double exploration = 0.0;
  bool padded = false;
  double dropout = 0.0;
  Estimator estimator = Estimator::kPaper;
  float clip = std::numeric_limits<float>::infinity();
  double probe_rate = 1.0;
  std::int64_t gap = 0;  ///< elements between rows of Q, K, V, O and their gradients
  std::uint64_t seed = 1;

  [[nodiscard]] std::string name() const {
    std::string text;
    for (const auto& [label, value] : std::initializer_list<std::pair<const char*, double>>{
             {"batch", batch},
             {"heads", heads},
             {"n", queries},
             {"m", keys},
             {"d", head_dim},
             {"k", clusters},
             {"law", static_cast<int>(law)},
             {"loops", static_cast<int>(self_loops)},
             {"exploration", exploration},
             {"padded", padded ? 1 : 0},
             {"dropout", dropout},
             {"estimator", static_cast<int>(estimator)},
             {"rate", probe_rate}}) {
      text += std::string(label) + " " + std::to_string(value) + " ";
    }
    return text;
  }
};

inline void PrintTo(const DenseSpec& spec, std::ostream* stream) { *stream << spec.name(); }

inline float to_float(float value) { return value; }
inline float to_float(__nv_bfloat16 value) { return __bfloat162float(value); }
template <class Element>
Element from_float(float value) {
  if constexpr (sizeof(Element) == 2) {
    return __float2bfloat16_rn(value);
  } else {
    return value;
  }
}

/// [batch, heads, tokens, width] that lies as [batch, tokens, heads, width + gap]; the gap behind
/// the last row is missing.
template <class Element>
struct DeviceTensor {
  DeviceTensor(const DenseSpec& spec, std::int64_t token_count, const std::string& name)
      : heads(spec.heads),
        tokens(token_count),
        width(spec.head_dim),
        stride(spec.head_dim + spec.gap),
        buffer(static_cast<std::size_t>(
                   std::max<std::int64_t>(0, spec.batch * heads * tokens * stride - spec.gap)),
               name) {}

  [[nodiscard]] HeadTensor<void> view() const {
    return {buffer.data(), tokens * heads * stride, stride, heads * stride};
  }
  [[nodiscard]] HeadTensor<const void> const_view() const {
    return {buffer.data(), tokens * heads * stride, stride, heads * stride};
  }
  [[nodiscard]] std::size_t place(std::int64_t graph, std::int64_t token) const {
    return static_cast<std::size_t>(((graph / heads * tokens + token) * heads + graph % heads) *
                                    stride);
  }
  [[nodiscard]] Matrix matrix(const std::vector<Element>& values, std::int64_t graph) const {
    Matrix result(tokens, width);
    for (std::int64_t t = 0; t < tokens; ++t) {
      for (std::int64_t c = 0; c < width; ++c) {
        result(t, c) =
            static_cast<double>(to_float(values[place(graph, t) + static_cast<std::size_t>(c)]));
      }
    }
    return result;
  }

  std::int64_t heads, tokens, width, stride;
  DeviceBuffer<Element> buffer;
};

/// What the path writes, full of 0xFF at first.
template <class Element>
struct DenseOutputs {
  explicit DenseOutputs(const DenseSpec& spec)
      : output(spec, spec.queries, "output"),
        grad_query(spec, spec.queries, "grad_query"),
        grad_key(spec, spec.keys, "grad_key"),
        grad_value(spec, spec.keys, "grad_value"),
        log_sum_exp(static_cast<std::size_t>(spec.batch * spec.heads * spec.queries), "lse"),
        query_product(
            static_cast<std::size_t>(spec.batch * spec.heads * spec.queries * spec.clusters),
            "query_product"),
        key_product(static_cast<std::size_t>(spec.batch * spec.heads * spec.keys * spec.clusters),
                    "key_product") {}

  /// All bytes, for comparing bits.
  [[nodiscard]] std::vector<unsigned char> bytes() const {
    std::vector<unsigned char> all;
    const auto append = [&](const auto& buffer) {
      const auto values = buffer.download();
      const auto* begin = reinterpret_cast<const unsigned char*>(values.data());
      all.insert(all.end(), begin, begin + values.size() * sizeof(values[0]));
    };
    for (const auto* tensor : {&output, &grad_query, &grad_key, &grad_value}) {
      append(tensor->buffer);
    }
    for (const auto* buffer : {&log_sum_exp, &query_product, &key_product}) append(*buffer);
    return all;
  }

  DeviceTensor<Element> output, grad_query, grad_key, grad_value;
  DeviceBuffer<float> log_sum_exp, query_product, key_product;
};

/// Appends a row of `clusters` integers as its units of bytes.
inline void append_units(const std::uint16_t* entries, std::int64_t clusters,
                         std::vector<EntryBytes>& units) {
  for (std::int64_t u = 0; u < entry_units(clusters); ++u) {
    EntryBytes unit{};
    for (std::int64_t i = 0; i < kUnitEntries; ++i) {
      const std::int64_t c = u * kUnitEntries + i;
      const std::uint32_t entry = c < clusters ? entries[c] : 0;
      unit.high[i / 4] |= (entry >> 8) << (8 * (i % 4));
      unit.low[i / 4] |= (entry & 0xFF) << (8 * (i % 4));
    }
    units.push_back(unit);
  }
}

inline double row_norm(const Matrix& matrix, std::int64_t row) {
  double sum = 0;
  for (std::int64_t c = 0; c < matrix.columns(); ++c) sum += matrix(row, c) * matrix(row, c);
  return std::sqrt(sum);
}

/// Fails the test where `found` is further from `expected` than `tolerance` times its norm, or one
/// of its rows than four times as much. `cancelled` is the size of a row's terms, which can cancel
/// to nothing.
inline void expect_close(const Matrix& found, const Matrix& expected, double tolerance,
                         double cancelled, const char* name) {
  Matrix difference = found;
  for (std::size_t i = 0; i < difference.values().size(); ++i) {
    difference.values()[i] -= expected.values()[i];
  }
  const auto rows = static_cast<double>(std::max<std::int64_t>(expected.rows(), 1));
  double all = 0;
  double distance = 0;
  for (std::int64_t i = 0; i < expected.rows(); ++i) {
    all += std::pow(row_norm(expected, i), 2);
    distance += std::pow(row_norm(difference, i), 2);
  }
  const double average = std::sqrt(all / rows);
  ASSERT_LE(std::sqrt(distance / rows), tolerance * (average + cancelled)) << name;
  // A wrong cell is lost in the whole, but not in its row.
  for (std::int64_t i = 0; i < expected.rows(); ++i) {
    ASSERT_LE(row_norm(difference, i),
              4 * tolerance * (row_norm(expected, i) + average + cancelled))
        << name << " row " << i;
  }
}

}  // namespace sbm::kernels::cuda
