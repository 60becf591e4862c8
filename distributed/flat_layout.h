#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "distributed/partition.h"

namespace sbm::distributed {

/// One parameter of the model, by its documented name.
struct ParameterSpec {
  std::string name;                 ///< e.g. "encoder.layers.0.attention.query.weight"
  std::vector<std::int64_t> shape;  ///< row-major
  bool decay = false;               ///< weight decay: matrices yes; biases, norms, embeddings no
};

/// Where each parameter lies in the flat fp32 buffers (weights, gradients, optimiser state).
/// Offsets are multiples of 16 elements, so LibTorch sees the same 64-byte alignment in every run;
/// the total is a multiple of kChunk. Gaps hold zeros. Nothing depends on the world size but
/// shard().
class FlatLayout {
 public:
  /// Shards and norm partial sums are made of chunks of this many elements.
  static constexpr std::int64_t kChunk = 4096;
  static constexpr std::int64_t kAlignment = 16;

  struct Entry {
    ParameterSpec spec;
    ElementRange range;  ///< without the gap after it
  };

  /// Throws InternalError on a duplicate name or a size that overflows.
  explicit FlatLayout(std::vector<ParameterSpec> parameters);

  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] std::int64_t size() const { return size_; }                        ///< with gaps
  [[nodiscard]] std::int64_t parameter_count() const { return parameter_count_; }  ///< without
  /// The contiguous chunks that `rank` owns; empty when there are fewer chunks than ranks.
  [[nodiscard]] ElementRange shard(int rank, int world_size) const;

 private:
  std::vector<Entry> entries_;
  std::int64_t size_ = 0;
  std::int64_t parameter_count_ = 0;
};

}  // namespace sbm::distributed
