#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cuda_host/device_buffer.h"
#include "kernels/cuda/sampling.h"
#include "tests/kernels/sampler_problem.h"

namespace sbm::cuda_host {

/// How a test wants its graphs.
struct SamplerChoice {
  kernels::cuda::PathPlan plan;
  std::int64_t edge_capacity = 0;   ///< 0: no lists
  std::int64_t probe_capacity = 0;  ///< 0: no lists of probes
  bool probe_mask = false;
};

/// Lists of one kind after a call, on the host.
struct DrawnLists {
  std::vector<std::uint32_t> row_offsets;
  std::vector<std::uint16_t> columns;
  std::vector<std::uint32_t> column_offsets;
  std::vector<std::uint16_t> rows;
  std::vector<float> row_gates;
  std::vector<float> column_gates;
  std::vector<float> row_probabilities;
  std::vector<float> column_probabilities;
};

/// What a call of sample_graphs() wrote, on the host.
struct DrawnGraphs {
  std::vector<std::uint64_t> mask;
  std::vector<std::uint64_t> probe_mask;
  DrawnLists edges;
  DrawnLists probes;
  std::vector<std::uint32_t> dense;   ///< the work list
  std::vector<std::uint32_t> sparse;  ///< the work list
  std::vector<kernels::cuda::EntryBytes> weights;
  std::vector<std::int32_t> row_exponents;
  std::vector<kernels::cuda::EntryBytes> key_entries;
  std::vector<std::uint8_t> key_exponents;
  std::vector<std::int64_t> edge_counts;
  std::uint32_t invalid_values = 0;
};

/// Device memory of lists.
class ListBuffers {
 public:
  ListBuffers(const std::string& name, std::int64_t graphs, std::int64_t queries, std::int64_t keys,
              std::int64_t capacity);
  [[nodiscard]] kernels::cuda::SampledLists lists() const;
  [[nodiscard]] DrawnLists download() const;

 private:
  std::int64_t capacity_;
  DeviceBuffer<std::uint32_t> row_offsets_;
  DeviceBuffer<std::uint16_t> columns_;
  DeviceBuffer<std::uint32_t> column_offsets_;
  DeviceBuffer<std::uint16_t> rows_;
  DeviceBuffer<float> row_gates_;
  DeviceBuffer<float> column_gates_;
  DeviceBuffer<float> row_probabilities_;
  DeviceBuffer<float> column_probabilities_;
};

/// The inputs of a problem on the device.
class SamplerInputs {
 public:
  explicit SamplerInputs(const kernels::testing::Problem& problem);
  [[nodiscard]] const kernels::SamplingParams& params() const { return params_; }

 private:
  DeviceBuffer<float> query_, key_, block_;
  DeviceBuffer<std::uint8_t> query_valid_, key_valid_;
  DeviceBuffer<PhiloxKey> mask_keys_, probe_keys_;
  kernels::SamplingParams params_;
};

/// Device memory for what a call writes, every buffer just as long as it must be.
class GraphBuffers {
 public:
  GraphBuffers(const kernels::SamplingParams& params, const SamplerChoice& choice);

  [[nodiscard]] kernels::cuda::SampledGraphs graphs() const;
  /// Calls sample_graphs(); fails the test when that does.
  void draw(const kernels::SamplingParams& params) const;
  [[nodiscard]] DrawnGraphs download() const;

 private:
  SamplerChoice choice_;
  DeviceBuffer<std::uint64_t> mask_, probe_mask_;
  ListBuffers edges_, probes_;
  DeviceBuffer<std::uint32_t> dense_, dense_count_, sparse_, sparse_count_;
  DeviceBuffer<kernels::cuda::EntryBytes> weights_;
  DeviceBuffer<std::int32_t> row_exponents_;
  DeviceBuffer<kernels::cuda::EntryBytes> key_entries_;
  DeviceBuffer<std::uint8_t> key_exponents_;
  DeviceBuffer<std::int64_t> edge_counts_;
  DeviceBuffer<std::uint32_t> invalid_values_;
  DeviceBuffer<std::uint8_t> workspace_;
};

/// Draws a problem on the device, every buffer just as long as it must be. Fails the test when the
/// call does.
DrawnGraphs draw_on_device(kernels::testing::Problem& problem, const SamplerChoice& choice);

}  // namespace sbm::cuda_host
