#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "distributed/checkpoint/safetensors.h"
#include "distributed/flat_layout.h"

namespace sbm::distributed::checkpoint {

/// Which of the three flat fp32 buffers a tensor comes from.
enum class Source { kWeights, kFirstMoment, kSecondMoment };

/// One tensor of a file to come. range: its elements in the flat buffer.
struct PlannedTensor {
  TensorToWrite tensor;
  Source source = Source::kWeights;
  ElementRange range;
};

/// A tensor file to come, its tensors in the order in which they lie in it.
struct PlannedFile {
  std::string name;
  std::vector<PlannedTensor> tensors;
  [[nodiscard]] std::int64_t elements() const;
};

/// The tensor files of a checkpoint: model-*, then optimizer-*. Tensors follow one another in the
/// layout's order, and a file is begun for each `bytes_per_file` begun, so the plan depends on the
/// layout alone. A tensor is never split: it belongs to the file in which it begins. Throws
/// InternalError when a parameter's name is one that the format reserves.
std::vector<PlannedFile> plan_files(const FlatLayout& layout, std::uint64_t bytes_per_file);

/// Elements [begin, end) of a planned file's data, as parts of the flat buffers in file order.
struct Segment {
  Source source = Source::kWeights;
  ElementRange range;
};
std::vector<Segment> segments_of(const PlannedFile& file, ElementRange elements);

}  // namespace sbm::distributed::checkpoint
