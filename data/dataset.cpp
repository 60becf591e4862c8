#include "data/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/checked.h"
#include "base/error.h"
#include "data/dataset_index.h"
#include "data/shard_reader.h"
#include "data/vocabulary.h"

namespace sbm::data {

struct Dataset::State {
  std::string task;
  std::string split;
  std::string fingerprint;
  LabelKind label_kind = LabelKind::kNone;
  LabelKind task_label_kind = LabelKind::kNone;
  bool pairs = false;
  bool narrow = false;
  std::int32_t token_offset = 0;
  std::vector<std::string> label_names;
  std::int32_t vocabulary_size = 0;
  std::optional<WordPieceIds> word_pieces;
  std::string vocabulary_hash;
  std::vector<SkippedRow> skipped;
  std::int64_t longest = 0;
  std::uint64_t samples = 0;
  std::vector<ShardReader> shards;
  std::vector<std::uint64_t> first_ids;  ///< id of each shard's first sample

  struct Place {
    const ShardReader& shard;
    std::uint64_t row;
  };
  [[nodiscard]] Place place(std::uint64_t id) const;
  void check_length(const ShardReader& shard, std::uint64_t row, std::int64_t length) const;
};

Dataset::State::Place Dataset::State::place(std::uint64_t id) const {
  if (id >= samples) {
    throw InternalError(fmt::format("sample {} asked of a split of {}", id, samples));
  }
  const auto after = std::upper_bound(first_ids.begin(), first_ids.end(), id);
  const auto number = static_cast<std::size_t>(after - first_ids.begin()) - 1;
  return {shards[number], id - first_ids[number]};
}

void Dataset::State::check_length(const ShardReader& shard, std::uint64_t row,
                                  std::int64_t length) const {
  if (length >= 1 && length <= longest) return;
  throw DataError(fmt::format("{}: row {}: expected 1 to {} tokens, found {}",
                              shard.path().string(), row, longest, length));
}

Dataset Dataset::open(const std::filesystem::path& folder, const std::string& split) {
  const auto [index, fingerprint] = read_index(folder);
  const auto found = std::find_if(index.splits().begin(), index.splits().end(),
                                  [&split](const Split& entry) { return entry.name() == split; });
  if (found == index.splits().end()) {
    std::string known;
    for (const Split& entry : index.splits()) {
      known += (known.empty() ? "" : ", ") + entry.name();
    }
    throw DataError(fmt::format("{}: expected a split \"{}\", found {}", folder.string(), split,
                                known.empty() ? "none" : known));
  }
  auto state = std::make_unique<State>();
  state->task = index.recipe().task();
  state->split = split;
  state->fingerprint = fingerprint;
  state->label_kind = split_label_kind(index, *found);
  state->task_label_kind = static_cast<LabelKind>(index.label_kind());
  state->pairs = index.pairs();
  state->narrow = narrow_tokens(index.vocabulary_size(), index.token_offset());
  state->token_offset = index.token_offset();
  state->label_names.assign(index.label_names().begin(), index.label_names().end());
  state->vocabulary_size = index.vocabulary_size();
  state->word_pieces = word_pieces_from(index);
  for (const SourceFile& source : index.recipe().sources()) {
    if (source.name() == kVocabularySource) state->vocabulary_hash = source.xxh3_128();
  }
  state->skipped = skipped_rows(index);
  state->longest = checked_cast<std::int64_t>(found->longest(), "longest sample");
  for (const Shard& shard : found->shards()) {
    state->first_ids.push_back(state->samples);
    state->shards.push_back(open_shard(folder, index, *found, shard));
    state->samples += shard.samples();
  }
  return Dataset(std::move(state));
}

Dataset::Dataset(std::unique_ptr<State> state) : state_(std::move(state)) {}
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

std::uint64_t Dataset::size() const { return state_->samples; }
const std::string& Dataset::task() const { return state_->task; }
const std::string& Dataset::split() const { return state_->split; }
LabelKind Dataset::label_kind() const { return state_->label_kind; }
LabelKind Dataset::task_label_kind() const { return state_->task_label_kind; }
bool Dataset::pairs() const { return state_->pairs; }
std::int32_t Dataset::token_offset() const { return state_->token_offset; }
const std::vector<std::string>& Dataset::label_names() const { return state_->label_names; }
std::int32_t Dataset::vocabulary_size() const { return state_->vocabulary_size; }
const std::optional<WordPieceIds>& Dataset::word_pieces() const { return state_->word_pieces; }
const std::string& Dataset::vocabulary_hash() const { return state_->vocabulary_hash; }
const std::vector<SkippedRow>& Dataset::skipped() const { return state_->skipped; }
std::int64_t Dataset::longest() const { return state_->longest; }
const std::string& Dataset::fingerprint() const { return state_->fingerprint; }

SampleView Dataset::sample(std::uint64_t id) const {
  const auto [shard, row] = state_->place(id);
  SampleView view;
  if (state_->narrow) {
    view.tokens8 = shard.elements<std::uint8_t>(kTokensColumn, row);
  } else {
    view.tokens16 = shard.elements<std::uint16_t>(kTokensColumn, row);
  }
  state_->check_length(shard, row, view.length());
  view.first_length = first_length(id);
  switch (state_->label_kind) {
    case LabelKind::kNone:
      break;
    case LabelKind::kClass:
      view.label = shard.elements<std::int32_t>(kLabelColumn, row)[0];
      break;
    case LabelKind::kScore:
      view.score = shard.elements<float>(kLabelColumn, row)[0];
      break;
    case LabelKind::kPerToken:
      view.token_labels = shard.elements<std::uint8_t>(kLabelColumn, row);
      if (std::ssize(view.token_labels) != view.length()) {
        throw DataError(fmt::format("{}: row {}: expected {} labels, one a token, found {}",
                                    shard.path().string(), row, view.length(),
                                    view.token_labels.size()));
      }
      break;
  }
  return view;
}

std::int64_t Dataset::length(std::uint64_t id) const {
  const auto [shard, row] = state_->place(id);
  const std::uint64_t element = state_->narrow ? sizeof(std::uint8_t) : sizeof(std::uint16_t);
  const auto length =
      checked_cast<std::int64_t>(shard.element_count(kTokensColumn, row, element), "tokens");
  state_->check_length(shard, row, length);
  return length;
}

std::int32_t Dataset::first_length(std::uint64_t id) const {
  if (!state_->pairs) return 0;
  const auto [shard, row] = state_->place(id);
  const std::int32_t first =
      shard.elements<std::int32_t>(first_length_column(state_->label_kind), row)[0];
  const std::int64_t whole = length(id);
  if (first < 1 || first > whole) {
    throw DataError(fmt::format("{}: row {}: expected a first part of 1 to {} tokens, found {}",
                                shard.path().string(), row, whole, first));
  }
  return first;
}

}  // namespace sbm::data
