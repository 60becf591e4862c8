#include <iterator>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/glue_reader.h"
#include "data/imdb_reader.h"
#include "data/listops_reader.h"
#include "data/listops_tokens.h"
#include "data/task_builder.h"
#include "data/text_lines.h"
#include "tests/data/tiny_vocabulary.h"
#include "tests/fuzz/target.h"

// Tables of published data. The first byte says which reader gets the rest as its file: a file of
// GLUE, MRPC's gold labels, ListOps in two forms, film reviews, Retrieval.
namespace sbm::fuzz {
namespace {

constexpr std::int64_t kMaxTokens = 32;

struct NamedFile {
  const data::GlueTask* task;
  const data::GlueFile* file;
};

std::vector<NamedFile> glue_files() {
  std::vector<NamedFile> files;
  for (const data::GlueTask& task : data::glue_tasks()) {
    for (const data::GlueFile& file : task.files) files.push_back({&task, &file});
  }
  return files;
}

// One input under every name that a reader asks for.
struct Fixture {
  Fixture() {
    for (const char* name :
         {"train.tsv", "dev.tsv", "test.tsv", "dev_matched.tsv", "dev_mismatched.tsv",
          "test_matched.tsv", "test_mismatched.tsv", "diagnostic.tsv", "new_aan_pairs.train.tsv",
          "new_aan_pairs.eval.tsv", "new_aan_pairs.test.tsv"}) {
      file.link(folder.path() / name);
    }
  }
  InputFile file;
  TemporaryFolder folder;
  std::vector<NamedFile> glue = glue_files();
  data::WordPieceTokenizer tokenizer{data::tiny_vocabulary()};
  data::TextEncoder encoder{tokenizer, kMaxTokens};
};

// Counts what a reader made of the lines of a file.
struct Count {
  std::uint64_t lines = 0;
  std::uint64_t taken = 0;
  std::uint64_t bad = 0;

  data::BadRow bad_row() {
    return [this](const std::filesystem::path&, std::uint64_t line, const std::string& reason) {
      require(line <= lines && !reason.empty(), "a bad row has a place and a reason");
      ++bad;
    };
  }
  void check() const { require(taken + bad <= lines, "a line gives one row at most"); }
};

void read_glue(const Fixture& fixture, const NamedFile& named, Count count) {
  const std::size_t classes = named.task->labels.size();
  const bool labelled = named.file->label.index >= 0;
  const auto take = [&](data::GlueRow& row) {
    ++count.taken;
    require(row.text.tokens.size() <= kMaxTokens, "rows are cut");
    require(row.text.first_length >= 0 && row.text.first_length <= std::ssize(row.text.tokens),
            "the first part is a part");
    if (labelled && named.task->label_kind == data::LabelKind::kClass) {
      require(row.label >= 0 && static_cast<std::size_t>(row.label) < classes, "labels are known");
    }
    require(row.score >= 0 && row.score <= data::kMaxGlueScore, "scores lie in their range");
  };
  data::read_glue(fixture.folder.path(), *named.task, *named.file, fixture.encoder, nullptr, 1,
                  take, count.bad_row());
  // A bad row of a file without labels keeps its place.
  if (labelled) count.check();
}

void read_listops(const Fixture& fixture, data::ListOpsFormat format, Count count) {
  const auto take = [&](const data::ListOpsRow& row) {
    ++count.taken;
    require(row.label >= 0 && row.label <= 9, "labels are digits");
    for (const std::uint8_t token : row.tokens) {
      require(token > 0 && token < data::kListOpsUnknown, "tokens are known");
    }
  };
  data::read_listops(fixture.file.path(), format, take, count.bad_row());
  count.check();
}

void read_reviews(const Fixture& fixture, Count count) {
  const data::ImdbSource source = data::find_imdb(fixture.folder.path());
  const auto take = [&](const data::Review& review) {
    ++count.taken;
    require(!review.text.empty() && (review.label == 0 || review.label == 1), "reviews are whole");
  };
  data::read_imdb(source, "train", take, count.bad_row());
  count.check();
}

void read_retrieval(const Fixture& fixture) {
  const TemporaryFolder out;
  data::BuildRequest request;
  request.task = "lra/retrieval";
  request.source = fixture.folder.path();
  request.max_length = kMaxTokens;
  const data::TaskBuilder& builder = data::find_task_builder(request.task);
  data::DatasetWriter writer(out.path(), builder.describe(request), data::kDefaultShardBytes);
  const std::function<void(const data::BuildProgress&)> silent;
  data::SampleSink sink(writer, request.source, data::kMaxSkippedRows, silent);
  builder.fill(request, sink);
}

void read(const Fixture& fixture, std::size_t reader) {
  Count count;
  count.lines = data::count_lines(data::MappedFile(fixture.file.path()));
  if (reader < fixture.glue.size()) return read_glue(fixture, fixture.glue[reader], count);
  switch (reader - fixture.glue.size()) {
    case 0:
      (void)data::read_mrpc_gold(fixture.file.path());
      return;
    case 1:
      return read_listops(fixture, data::ListOpsFormat::kLongRangeArena, count);
    case 2:
      return read_listops(fixture, data::ListOpsFormat::kNyu, count);
    case 3:
      return read_reviews(fixture, count);
    default:
      return read_retrieval(fixture);
  }
}

}  // namespace
}  // namespace sbm::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sbm::fuzz;
  static Fixture fixture;
  Input input(data, size);
  const std::size_t reader = input.byte() % (fixture.glue.size() + 5);
  fixture.file.set(input.rest());
  try {
    read(fixture, reader);
  } catch (const sbm::DataError&) {
  }
  return 0;
}
