#include "data/dataset_index.h"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <set>
#include <span>

#include "base/checked.h"
#include "base/content_hash.h"
#include "base/error.h"
#include "data/durable_file.h"
#include "data/mapped_file.h"

namespace sbm::data {
namespace {

// An index names shards of tens of MiB each, so even a huge data set stays far below.
constexpr std::uint64_t kMaxIndexBytes = std::uint64_t{64} << 20;

std::span<const std::uint8_t> as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::string serialise(const google::protobuf::MessageLite& message) {
  std::string bytes;
  if (!message.SerializeToString(&bytes)) throw InternalError("cannot serialise the index");
  return bytes;
}

bool valid_split_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// Checks that the fields of an index agree with one another and with what this program can read.
class IndexCheck {
 public:
  IndexCheck(const DatasetIndex& index, std::string where)
      : index_(index), where_(std::move(where)) {}

  void run() const {
    if (index_.version() != kIndexVersion) {
      fail(fmt::format("expected index version {}, found {}", kIndexVersion, index_.version()));
    }
    if (index_.recipe().task().empty()) fail("the index names no task");
    if (index_.vocabulary_size() < 2 || index_.vocabulary_size() > kMaxVocabulary) {
      fail(fmt::format("expected a vocabulary of 2 to {} tokens, found {}", kMaxVocabulary,
                       index_.vocabulary_size()));
    }
    if (index_.token_offset() < 0 || index_.token_offset() > 1) {
      fail(fmt::format("expected a token offset of 0 or 1, found {}", index_.token_offset()));
    }
    if (index_.has_word_pieces()) check_word_pieces();
    check_labels();
    std::set<std::string> names;
    for (const Split& split : index_.splits()) {
      if (!valid_split_name(split.name()) || !names.insert(split.name()).second) {
        fail(fmt::format("\"{}\" is no name of a split or occurs twice", split.name()));
      }
      check_split(split);
    }
  }

 private:
  void check_labels() const {
    const int classes = index_.label_names_size();
    switch (index_.label_kind()) {
      case static_cast<int>(LabelKind::kNone):
        if (classes != 0) fail("unlabelled data with label names");
        return;
      case static_cast<int>(LabelKind::kClass):
        if (classes == 0) fail("labelled data without label names");
        return;
      case static_cast<int>(LabelKind::kPerToken):
        if (classes == 0 || static_cast<std::size_t>(classes) > kMaxTokenClasses) {
          fail(fmt::format("expected 1 to {} classes of tokens, found {}", kMaxTokenClasses,
                           classes));
        }
        return;
      case static_cast<int>(LabelKind::kScore):
        if (classes != 0) fail("scores with label names");
        return;
      default:
        fail(fmt::format("unknown kind of label {}", index_.label_kind()));
    }
  }

  void check_split(const Split& split) const {
    std::uint64_t samples = 0;
    for (int i = 0; i < split.shards_size(); ++i) {
      const Shard& shard = split.shards(i);
      // The names follow from the split: a damaged index cannot point outside its folder.
      const std::string name = shard_name(split.name(), static_cast<std::size_t>(i));
      if (shard.file() != name) {
        fail(fmt::format("expected shard \"{}\", found \"{}\"", name, shard.file()));
      }
      if (shard.samples() == 0) fail(name + " has no samples");
      const auto sum = checked_add<std::uint64_t>(samples, shard.samples());
      if (!sum) fail(fmt::format("split {}: the samples do not fit 64 bits", split.name()));
      samples = *sum;
    }
    if (samples != split.samples()) {
      fail(fmt::format("split {}: expected {} samples, its shards have {}", split.name(),
                       split.samples(), samples));
    }
    if (split.longest() > split.tokens() || split.tokens() < samples ||
        split.longest() > static_cast<std::uint64_t>(INT64_MAX)) {
      fail(fmt::format("split {}: {} samples of at most {} tokens cannot have {} together",
                       split.name(), samples, split.longest(), split.tokens()));
    }
  }

  void check_word_pieces() const {
    const WordPieces& pieces = index_.word_pieces();
    for (const std::int32_t id : {pieces.cls(), pieces.sep(), pieces.mask()}) {
      if (id < 0 || id >= index_.vocabulary_size()) {
        fail(fmt::format("special id {} of {} tokens", id, index_.vocabulary_size()));
      }
    }
    const auto expected = ceil_divide<std::int64_t>(index_.vocabulary_size(), 8);
    if (std::ssize(pieces.continues()) != expected) {
      fail(fmt::format("expected {} bytes of pieces that continue, found {}", expected,
                       pieces.continues().size()));
    }
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw DataError(where_ + ": " + reason);
  }

  const DatasetIndex& index_;
  std::string where_;
};

}  // namespace

LoadedIndex read_index(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kIndexFile;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    throw DataError(fmt::format("{}: expected a data set (a folder with {}), found none",
                                folder.string(), kIndexFile));
  }
  const MappedFile file(path);
  if (file.bytes().size() > kMaxIndexBytes) {
    throw DataError(fmt::format("{}: expected at most {} bytes, found {}", path.string(),
                                kMaxIndexBytes, file.bytes().size()));
  }
  const std::string bytes(file.bytes().begin(), file.bytes().end());
  IndexFile envelope;
  const bool parsed = envelope.ParseFromString(bytes);
  // Written again without what is unknown, the envelope must give the same bytes: then the checksum
  // covers all of them.
  envelope.DiscardUnknownFields();
  if (!parsed || serialise(envelope) != bytes) {
    throw DataError(path.string() + ": damaged or truncated, or not an index");
  }
  LoadedIndex loaded;
  loaded.fingerprint = content_hash(envelope.index()).hex();
  if (loaded.fingerprint != envelope.xxh3_128()) {
    throw DataError(fmt::format("{}: damaged: expected XXH3-128 {}, found {}", path.string(),
                                envelope.xxh3_128(), loaded.fingerprint));
  }
  if (!loaded.index.ParseFromString(envelope.index())) {
    throw DataError(path.string() + ": its contents are no index");
  }
  IndexCheck(loaded.index, path.string()).run();
  return loaded;
}

std::string write_index(const std::filesystem::path& folder, const DatasetIndex& index) {
  IndexCheck(index, (folder / kIndexFile).string()).run();
  DurableFile text(folder / kIndexTextFile);
  text.write(as_bytes(index_text(index)));
  text.commit();

  IndexFile envelope;
  envelope.set_index(serialise(index));
  envelope.set_xxh3_128(content_hash(envelope.index()).hex());
  DurableFile binary(folder / kIndexFile);
  binary.write(as_bytes(serialise(envelope)));
  binary.commit();
  return envelope.xxh3_128();
}

std::string index_text(const DatasetIndex& index) {
  std::string text;
  if (!google::protobuf::TextFormat::PrintToString(index, &text)) {
    throw InternalError("cannot print the index");
  }
  return text;
}

Recipe recipe_message(const DatasetRecipe& recipe) {
  Recipe message;
  message.set_task(recipe.task);
  message.set_generator(recipe.generator);
  for (const auto& [name, value] : recipe.parameters) {
    Parameter& parameter = *message.add_parameters();
    parameter.set_name(name);
    parameter.set_value(value);
  }
  for (const SourceDescription& source : recipe.sources) {
    SourceFile& file = *message.add_sources();
    file.set_name(source.name);
    file.set_bytes(source.bytes);
    file.set_xxh3_128(source.xxh3_128);
  }
  return message;
}

DatasetRecipe recipe_from(const Recipe& message) {
  DatasetRecipe recipe{.task = message.task(), .generator = message.generator()};
  for (const Parameter& parameter : message.parameters()) {
    recipe.parameters.emplace_back(parameter.name(), parameter.value());
  }
  for (const SourceFile& file : message.sources()) {
    recipe.sources.push_back(
        {.name = file.name(), .bytes = file.bytes(), .xxh3_128 = file.xxh3_128()});
  }
  return recipe;
}

std::string shard_name(const std::string& split, std::size_t number) {
  return fmt::format("{}/shard-{:05}.sbm", split, number);
}

std::vector<SkippedRow> skipped_rows(const DatasetIndex& index) {
  std::vector<SkippedRow> rows;
  for (const Skipped& row : index.skipped()) {
    rows.push_back({.file = row.file(), .line = row.line(), .reason = row.reason()});
  }
  return rows;
}

std::optional<WordPieceIds> word_pieces_from(const DatasetIndex& index) {
  if (!index.has_word_pieces()) return std::nullopt;
  const WordPieces& message = index.word_pieces();
  WordPieceIds ids{.cls = message.cls(), .sep = message.sep(), .mask = message.mask()};
  const std::string& bits = message.continues();
  for (std::size_t id = 0; id < static_cast<std::size_t>(index.vocabulary_size()); ++id) {
    ids.continues.push_back(((static_cast<unsigned char>(bits[id / 8]) >> (id % 8)) & 1) != 0);
  }
  return ids;
}

WordPieces word_pieces_message(const WordPieceIds& ids) {
  WordPieces message;
  message.set_cls(ids.cls);
  message.set_sep(ids.sep);
  message.set_mask(ids.mask);
  std::string bits(ceil_divide<std::size_t>(ids.continues.size(), 8), '\0');
  for (std::size_t id = 0; id < ids.continues.size(); ++id) {
    if (!ids.continues[id]) continue;
    bits[id / 8] = static_cast<char>(static_cast<unsigned char>(bits[id / 8]) | (1U << (id % 8)));
  }
  message.set_continues(bits);
  return message;
}

LabelKind split_label_kind(const DatasetIndex& index, const Split& split) {
  return split.unlabelled() ? LabelKind::kNone : static_cast<LabelKind>(index.label_kind());
}

bool narrow_tokens(std::int32_t vocabulary_size, std::int32_t token_offset) {
  return vocabulary_size - token_offset <= 256;
}

std::vector<ExpectedColumn> shard_columns(const DatasetIndex& index, const Split& split) {
  const std::int32_t stored = index.vocabulary_size() - index.token_offset();
  const bool narrow = narrow_tokens(index.vocabulary_size(), index.token_offset());
  const std::int64_t classes = index.label_names_size();
  std::vector<ExpectedColumn> columns;
  columns.push_back({{"tokens", narrow ? ElementType::kU8 : ElementType::kU16, 0}, 0, stored});
  switch (split_label_kind(index, split)) {
    case LabelKind::kNone:
      break;
    case LabelKind::kClass:
      columns.push_back({{"label", ElementType::kI32, 1}, 0, classes});
      break;
    case LabelKind::kPerToken:
      columns.push_back({{"token_labels", ElementType::kU8, 0}, 0, classes});
      break;
    case LabelKind::kScore:
      columns.push_back({{"score", ElementType::kF32, 1}, -kScoreLimit, kScoreLimit});
      break;
  }
  if (index.pairs()) columns.push_back({{"first_length", ElementType::kI32, 1}, 1, INT32_MAX});
  return columns;
}

ShardReader open_shard(const std::filesystem::path& folder, const DatasetIndex& index,
                       const Split& split, const Shard& shard) {
  ShardReader reader(folder / shard.file(), shard_columns(index, split));
  if (reader.samples() != shard.samples() || reader.file_bytes() != shard.bytes() ||
      reader.content().hex() != shard.xxh3_128()) {
    throw DataError(
        fmt::format("{}: the index expects {} samples, {} bytes, XXH3-128 {}; found {}, {}, {}",
                    reader.path().string(), shard.samples(), shard.bytes(), shard.xxh3_128(),
                    reader.samples(), reader.file_bytes(), reader.content().hex()));
  }
  return reader;
}

}  // namespace sbm::data
