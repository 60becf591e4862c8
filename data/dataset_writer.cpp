#include "data/dataset_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/checked.h"
#include "base/error.h"
#include "data/dataset_index.h"
#include "data/durable_file.h"
#include "data/shard_writer.h"

namespace sbm::data {
namespace {

std::vector<ColumnSpec> specs_of(const std::vector<ExpectedColumn>& columns) {
  std::vector<ColumnSpec> specs;
  specs.reserve(columns.size());
  for (const ExpectedColumn& column : columns) specs.push_back(column.spec);
  return specs;
}

template <typename T>
std::span<const std::uint8_t> bytes_of(std::span<const T> values) {
  return {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()};
}

template <typename T>
void check_below(std::span<const T> values, std::int64_t limit, const char* what) {
  for (const T value : values) {
    if (std::int64_t{value} >= limit) {
      throw InternalError(fmt::format("{} {} is not below {}", what, value, limit));
    }
  }
}

}  // namespace

struct DatasetWriter::State {
  struct OpenSplit {
    std::string name;
    ShardWriter shard;
    std::uint64_t tokens = 0;
    std::uint64_t longest = 0;
    std::vector<ShardSummary> written;
  };

  std::filesystem::path folder;
  DatasetDescription description;
  std::uint64_t shard_bytes = 0;
  std::vector<OpenSplit> splits;

  void check(const SampleView& sample) const;
  void flush(OpenSplit& split) const;
  [[nodiscard]] DatasetIndex index() const;
};

void DatasetWriter::State::check(const SampleView& sample) const {
  const bool narrow = description.vocabulary_size <= 256;
  if (sample.length() < 1 || (narrow ? !sample.tokens16.empty() : !sample.tokens8.empty())) {
    throw InternalError(fmt::format("expected tokens of {} bits, found {} and {}", narrow ? 8 : 16,
                                    sample.tokens8.size(), sample.tokens16.size()));
  }
  check_below(sample.tokens8, description.vocabulary_size, "token");
  check_below(sample.tokens16, description.vocabulary_size, "token");
  const auto classes = std::ssize(description.label_names);
  if (description.label_kind == LabelKind::kClass &&
      (sample.label < 0 || sample.label >= classes)) {
    throw InternalError(fmt::format("label {} of {} classes", sample.label, classes));
  }
  if (description.label_kind == LabelKind::kPerToken) {
    if (std::ssize(sample.token_labels) != sample.length()) {
      throw InternalError(
          fmt::format("{} labels for {} tokens", sample.token_labels.size(), sample.length()));
    }
    check_below(sample.token_labels, classes, "token label");
  }
}

void DatasetWriter::State::flush(OpenSplit& split) const {
  if (split.shard.samples() == 0) return;
  if (split.written.empty()) {
    std::error_code error;
    std::filesystem::create_directory(folder / split.name, error);
    if (error) {
      throw DataError(fmt::format("{}: cannot create the folder: {}",
                                  (folder / split.name).string(), error.message()));
    }
    sync_folder(folder);
  }
  split.written.push_back(split.shard.write(folder / shard_name(split.name, split.written.size())));
}

DatasetIndex DatasetWriter::State::index() const {
  DatasetIndex index;
  index.set_version(kIndexVersion);
  *index.mutable_recipe() = recipe_message(description.recipe);
  index.set_label_kind(static_cast<std::int32_t>(description.label_kind));
  for (const std::string& name : description.label_names) index.add_label_names(name);
  index.set_vocabulary_size(description.vocabulary_size);
  for (const OpenSplit& split : splits) {
    Split& entry = *index.add_splits();
    entry.set_name(split.name);
    std::uint64_t samples = 0;
    for (std::size_t i = 0; i < split.written.size(); ++i) {
      Shard& shard = *entry.add_shards();
      shard.set_file(shard_name(split.name, i));
      shard.set_samples(split.written[i].samples);
      shard.set_bytes(split.written[i].bytes);
      shard.set_xxh3_128(split.written[i].content.hex());
      samples += split.written[i].samples;
    }
    entry.set_samples(samples);
    entry.set_tokens(split.tokens);
    entry.set_longest(split.longest);
  }
  return index;
}

DatasetWriter::DatasetWriter(std::filesystem::path folder, DatasetDescription description,
                             std::uint64_t shard_bytes)
    : state_(std::make_unique<State>()) {
  const std::vector<ColumnSpec> specs = specs_of(shard_columns(
      description.label_kind, description.vocabulary_size, description.label_names.size()));
  for (const std::string& name : description.splits) {
    state_->splits.push_back({.name = name, .shard = ShardWriter(specs), .written = {}});
  }
  state_->folder = std::move(folder);
  state_->description = std::move(description);
  state_->shard_bytes = shard_bytes;
}

DatasetWriter::~DatasetWriter() = default;

void DatasetWriter::add(std::size_t split, const SampleView& sample) {
  state_->check(sample);
  State::OpenSplit& open = state_->splits.at(split);
  open.shard.append(kTokensColumn, state_->description.vocabulary_size <= 256
                                       ? bytes_of(sample.tokens8)
                                       : bytes_of(sample.tokens16));
  if (state_->description.label_kind == LabelKind::kClass) {
    open.shard.append(kLabelColumn, bytes_of(std::span(&sample.label, 1)));
  } else if (state_->description.label_kind == LabelKind::kPerToken) {
    open.shard.append(kTokenLabelsColumn, sample.token_labels);
  }
  open.shard.end_sample();
  const auto length = checked_cast<std::uint64_t>(sample.length(), "sample length");
  open.tokens += length;
  open.longest = std::max(open.longest, length);
  if (open.shard.bytes() >= state_->shard_bytes) state_->flush(open);
}

std::string DatasetWriter::finish() {
  for (State::OpenSplit& split : state_->splits) state_->flush(split);
  return write_index(state_->folder, state_->index());
}

}  // namespace sbm::data
