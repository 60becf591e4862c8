#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <string>

#include "base/content_hash.h"
#include "base/error.h"
#include "data/dataset.h"
#include "data/dataset_index.h"
#include "data/verify.h"
#include "tests/fuzz/target.h"

// The index of a data set. First byte % 3:
//   0  the rest is index.pb, as it is
//   1  the rest is a serialised DatasetIndex, which gets a checksum that is right
//   2  the rest is the text form of a DatasetIndex, which gets the same
namespace sbm::fuzz {
namespace {

std::string sealed(std::string index) {
  data::IndexFile file;
  file.set_xxh3_128(content_hash(index).hex());
  file.set_index(std::move(index));
  return file.SerializeAsString();
}

// The text form is for people; what it says wrongly is no news here.
class Silent : public google::protobuf::io::ErrorCollector {
  void AddError(int, google::protobuf::io::ColumnNumber, const std::string&) override {}
};

std::string from_text(const std::string& text) {
  data::DatasetIndex index;
  google::protobuf::TextFormat::Parser parser;
  Silent silent;
  parser.RecordErrorsTo(&silent);
  parser.AllowPartialMessage(true);
  if (!parser.ParseFromString(text, &index)) return {};
  return sealed(index.SerializeAsString());
}

struct Folder {
  Folder() { file.link(folder.path() / data::kIndexFile); }
  TemporaryFolder folder;
  InputFile file;
};

void check_index(const std::filesystem::path& folder) {
  const data::LoadedIndex loaded = data::read_index(folder);
  const data::DatasetIndex& index = loaded.index;
  (void)data::index_text(index);
  const data::DatasetRecipe recipe = data::recipe_from(index.recipe());
  require(!recipe.task.empty(), "an index that is read names a task");
  (void)data::skipped_rows(index);
  if (const auto pieces = data::word_pieces_from(index)) {
    require(pieces->continues.size() == static_cast<std::size_t>(index.vocabulary_size()),
            "each piece of the vocabulary continues a word or does not");
  }
  for (const data::Split& split : index.splits()) {
    require(!data::shard_columns(index, split).empty(), "shards have columns");
    try {
      const data::Dataset dataset = data::Dataset::open(folder, split.name());
      require(dataset.size() == 0, "without shards there are no samples");
    } catch (const DataError&) {
      require(split.shards_size() > 0, "a split without shards opens");
    }
  }
  (void)data::verify_dataset(folder);
}

}  // namespace
}  // namespace sbm::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sbm::fuzz;
  static Folder folder;
  Input input(data, size);
  const int mode = input.byte() % 3;
  std::string bytes(input.rest().begin(), input.rest().end());
  if (mode == 1) bytes = sealed(std::move(bytes));
  if (mode == 2) bytes = from_text(bytes);
  folder.file.set({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  try {
    check_index(folder.folder.path());
  } catch (const sbm::DataError&) {
  }
  return 0;
}
