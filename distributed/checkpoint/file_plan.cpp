#include "distributed/checkpoint/file_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "distributed/checkpoint/manifest.h"

namespace sbm::distributed::checkpoint {
namespace {

TensorToWrite to_write(const std::string& name, const std::vector<std::int64_t>& shape) {
  TensorToWrite tensor;
  tensor.name = name;
  for (const std::int64_t extent : shape) {
    tensor.shape.push_back(checked_cast<std::uint64_t>(extent, "extent of " + name));
  }
  return tensor;
}

void sort_tensors(PlannedFile& file) {
  // All elements have one size, so the format's order is that of the names.
  std::sort(file.tensors.begin(), file.tensors.end(), [](const auto& left, const auto& right) {
    return left.tensor.name < right.tensor.name;
  });
}

// Cuts `tensors`, in this order, into files "<stem>-00000-of-00002.safetensors".
void append_files(std::vector<PlannedTensor> tensors, const std::string& stem,
                  std::uint64_t bytes_per_file, std::vector<PlannedFile>& files) {
  std::vector<PlannedFile> group(1);
  std::uint64_t position = 0;
  std::uint64_t begun = 0;
  for (PlannedTensor& tensor : tensors) {
    if (position / bytes_per_file != begun) {
      begun = position / bytes_per_file;
      group.emplace_back();
    }
    position += static_cast<std::uint64_t>(tensor.range.size()) * sizeof(float);
    group.back().tensors.push_back(std::move(tensor));
  }
  for (std::size_t index = 0; index < group.size(); ++index) {
    group[index].name = fmt::format("{}-{:05}-of-{:05}.safetensors", stem, index, group.size());
    sort_tensors(group[index]);
    files.push_back(std::move(group[index]));
  }
}

}  // namespace

std::int64_t PlannedFile::elements() const {
  std::int64_t sum = 0;
  for (const PlannedTensor& tensor : tensors) sum += tensor.range.size();
  return sum;
}

std::vector<PlannedFile> plan_files(const FlatLayout& layout, std::uint64_t bytes_per_file) {
  if (bytes_per_file == 0) throw InternalError("checkpoint: files of 0 bytes");
  std::vector<PlannedTensor> model;
  std::vector<PlannedTensor> moments;
  for (const FlatLayout::Entry& entry : layout.entries()) {
    const std::string& name = entry.spec.name;
    if (is_moment(name) || name == "__metadata__") {
      throw InternalError("checkpoint: a parameter cannot be named " + name);
    }
    model.push_back({to_write(name, entry.spec.shape), Source::kWeights, entry.range});
    for (const auto& [prefix, source] : {std::pair(kFirstMomentPrefix, Source::kFirstMoment),
                                         std::pair(kSecondMomentPrefix, Source::kSecondMoment)}) {
      moments.push_back(
          {to_write(std::string(prefix) + name, entry.spec.shape), source, entry.range});
    }
  }
  std::vector<PlannedFile> files;
  append_files(std::move(model), "model", bytes_per_file, files);
  append_files(std::move(moments), "optimizer", bytes_per_file, files);
  return files;
}

std::vector<Segment> segments_of(const PlannedFile& file, ElementRange elements) {
  std::vector<Segment> segments;
  std::int64_t position = 0;
  for (const PlannedTensor& tensor : file.tensors) {
    const std::int64_t begin = std::max(elements.begin, position);
    const std::int64_t end = std::min(elements.end, position + tensor.range.size());
    if (begin < end) {
      const std::int64_t first = tensor.range.begin - position;
      segments.push_back({tensor.source, {first + begin, first + end}});
    }
    position += tensor.range.size();
  }
  return segments;
}

}  // namespace sbm::distributed::checkpoint
