#include "data/dataset_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
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

// An index that says what shard_columns() and its kin ask of one.
DatasetIndex index_of(const DatasetDescription& description) {
  DatasetIndex index;
  index.set_version(kIndexVersion);
  *index.mutable_recipe() = recipe_message(description.recipe);
  index.set_label_kind(static_cast<std::int32_t>(description.label_kind));
  for (const std::string& name : description.label_names) index.add_label_names(name);
  index.set_vocabulary_size(description.vocabulary_size);
  // Left out where they say nothing: the same data keep the fingerprint that they always had.
  if (description.token_offset != 0) index.set_token_offset(description.token_offset);
  if (description.pairs) index.set_pairs(true);
  if (description.word_pieces) {
    *index.mutable_word_pieces() = word_pieces_message(*description.word_pieces);
  }
  for (const std::string& name : description.splits) {
    Split& split = *index.add_splits();
    split.set_name(name);
    const auto& unlabelled = description.unlabelled;
    if (std::find(unlabelled.begin(), unlabelled.end(), name) != unlabelled.end()) {
      split.set_unlabelled(true);
    }
  }
  return index;
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
    LabelKind label_kind = LabelKind::kNone;
    ShardWriter shard;
    std::uint64_t tokens = 0;
    std::uint64_t longest = 0;
    std::vector<ShardSummary> written;
  };

  std::filesystem::path folder;
  DatasetIndex index;  ///< complete but for the sums and shards of the splits
  std::uint64_t shard_bytes = 0;
  bool narrow = false;
  std::vector<OpenSplit> splits;

  void check(LabelKind kind, const SampleView& sample) const;
  void flush(std::size_t number);
  void complete_index();
};

void DatasetWriter::State::check(LabelKind kind, const SampleView& sample) const {
  if (sample.length() < 1 || (narrow ? !sample.tokens16.empty() : !sample.tokens8.empty())) {
    throw InternalError(fmt::format("expected tokens of {} bits, found {} and {}", narrow ? 8 : 16,
                                    sample.tokens8.size(), sample.tokens16.size()));
  }
  const std::int32_t limit = index.vocabulary_size() - index.token_offset();
  check_below(sample.tokens8, limit, "token");
  check_below(sample.tokens16, limit, "token");
  const bool one_part = sample.first_length == 0;
  if (one_part == index.pairs() || sample.first_length < 0 ||
      sample.first_length > sample.length()) {
    throw InternalError(fmt::format("a first part of {} tokens in a {} of {}", sample.first_length,
                                    index.pairs() ? "pair" : "sample of one part",
                                    sample.length()));
  }
  const std::int64_t classes = index.label_names_size();
  if (kind == LabelKind::kClass && (sample.label < 0 || sample.label >= classes)) {
    throw InternalError(fmt::format("label {} of {} classes", sample.label, classes));
  }
  if (kind == LabelKind::kScore && !(std::abs(sample.score) < static_cast<float>(kScoreLimit))) {
    throw InternalError(fmt::format("score {} is not within {}", sample.score, kScoreLimit));
  }
  if (kind == LabelKind::kPerToken) {
    if (std::ssize(sample.token_labels) != sample.length()) {
      throw InternalError(
          fmt::format("{} labels for {} tokens", sample.token_labels.size(), sample.length()));
    }
    check_below(sample.token_labels, classes, "token label");
  }
}

void DatasetWriter::State::flush(std::size_t number) {
  OpenSplit& split = splits[number];
  const std::string& name = index.splits(static_cast<int>(number)).name();
  if (split.shard.samples() == 0) return;
  if (split.written.empty()) {
    std::error_code error;
    std::filesystem::create_directory(folder / name, error);
    if (error) {
      throw DataError(fmt::format("{}: cannot create the folder: {}", (folder / name).string(),
                                  error.message()));
    }
    sync_folder(folder);
  }
  split.written.push_back(split.shard.write(folder / shard_name(name, split.written.size())));
}

void DatasetWriter::State::complete_index() {
  for (std::size_t number = 0; number < splits.size(); ++number) {
    const OpenSplit& split = splits[number];
    Split& entry = *index.mutable_splits(static_cast<int>(number));
    std::uint64_t samples = 0;
    for (std::size_t i = 0; i < split.written.size(); ++i) {
      Shard& shard = *entry.add_shards();
      shard.set_file(shard_name(entry.name(), i));
      shard.set_samples(split.written[i].samples);
      shard.set_bytes(split.written[i].bytes);
      shard.set_xxh3_128(split.written[i].content.hex());
      samples += split.written[i].samples;
    }
    entry.set_samples(samples);
    entry.set_tokens(split.tokens);
    entry.set_longest(split.longest);
  }
}

DatasetWriter::DatasetWriter(std::filesystem::path folder, const DatasetDescription& description,
                             std::uint64_t shard_bytes)
    : state_(std::make_unique<State>()) {
  state_->folder = std::move(folder);
  state_->index = index_of(description);
  state_->shard_bytes = shard_bytes;
  state_->narrow = narrow_tokens(description.vocabulary_size, description.token_offset);
  for (const Split& split : state_->index.splits()) {
    state_->splits.push_back({.label_kind = split_label_kind(state_->index, split),
                              .shard = ShardWriter(specs_of(shard_columns(state_->index, split))),
                              .written = {}});
  }
}

DatasetWriter::~DatasetWriter() = default;

void DatasetWriter::add(std::size_t split, const SampleView& sample) {
  State::OpenSplit& open = state_->splits.at(split);
  const LabelKind kind = open.label_kind;
  state_->check(kind, sample);
  open.shard.append(kTokensColumn,
                    state_->narrow ? bytes_of(sample.tokens8) : bytes_of(sample.tokens16));
  if (kind == LabelKind::kClass) {
    open.shard.append(kLabelColumn, bytes_of(std::span(&sample.label, 1)));
  } else if (kind == LabelKind::kScore) {
    open.shard.append(kLabelColumn, bytes_of(std::span(&sample.score, 1)));
  } else if (kind == LabelKind::kPerToken) {
    open.shard.append(kLabelColumn, sample.token_labels);
  }
  if (state_->index.pairs()) {
    open.shard.append(first_length_column(kind), bytes_of(std::span(&sample.first_length, 1)));
  }
  open.shard.end_sample();
  const auto length = checked_cast<std::uint64_t>(sample.length(), "sample length");
  open.tokens += length;
  open.longest = std::max(open.longest, length);
  if (open.shard.bytes() >= state_->shard_bytes) state_->flush(split);
}

std::string DatasetWriter::finish(const std::vector<SkippedRow>& skipped,
                                  const std::vector<std::string>& notes) {
  for (std::size_t number = 0; number < state_->splits.size(); ++number) state_->flush(number);
  state_->complete_index();
  for (const SkippedRow& row : skipped) {
    Skipped& entry = *state_->index.add_skipped();
    entry.set_file(row.file);
    entry.set_line(row.line);
    entry.set_reason(row.reason);
  }
  for (const std::string& note : notes) state_->index.add_notes(note);
  return write_index(state_->folder, state_->index);
}

}  // namespace sbm::data
