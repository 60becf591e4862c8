// The corpus of masked-language pretraining, from each layout that it may have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/build.h"
#include "data/dataset.h"
#include "data/dataset_writer.h"
#include "data/inspect.h"
#include "data/verify.h"
#include "tests/data/shared_data.h"
#include "tests/data/temporary_folder.h"
#include "tests/data/tiny_vocabulary.h"

namespace sbm::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

using Ids = std::vector<std::uint8_t>;

class MaskedLanguageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(source_);
    write_text(source_ / "vocab.txt", tiny_vocabulary_text());
  }

  BuildRequest request() const {
    BuildRequest request;
    request.task = "pretrain/mlm";
    request.source = source_;
    request.vocabulary = source_ / "vocab.txt";
    request.out = folder_.path() / "out";
    request.max_length = 8;
    request.threads = 2;
    request.masked_language = {.validation_share = 0, .short_share = 0};
    return request;
  }

  std::vector<Ids> built(const BuildRequest& request) const {
    std::filesystem::remove_all(request.out);
    build_dataset(request);
    EXPECT_THAT(verify_dataset(request.out).problems, IsEmpty());
    const Dataset train = Dataset::open(request.out, "train");
    std::vector<Ids> samples;
    for (std::uint64_t id = 0; id < train.size(); ++id) {
      const auto tokens = train.sample(id).tokens8;
      samples.emplace_back(tokens.begin(), tokens.end());
    }
    return samples;
  }

  TemporaryFolder folder_;
  std::filesystem::path source_ = folder_.path() / "source";
};

// the 10, cat 12, sat 13, full stop 18
TEST_F(MaskedLanguageTest, ReadsPlainText) {
  write_text(source_ / "b.txt", "the\ncat\n \t\n\n\nsat\r\n\r\ncat");
  write_text(source_ / "a.txt", "\xef\xbb\xbfthe cat sat the cat\nthe the\n");
  const std::vector<Ids> samples = built(request());
  EXPECT_THAT(samples, ElementsAre(Ids{2, 10, 12, 13, 10, 12, 3}, Ids{2, 10, 10, 3},
                                   Ids{2, 10, 12, 3}, Ids{2, 13, 3}, Ids{2, 12, 3}));
  const Dataset train = Dataset::open(request().out, "train");
  EXPECT_EQ(train.label_kind(), LabelKind::kNone);
  EXPECT_EQ(train.vocabulary_size(), 35);
  ASSERT_TRUE(train.word_pieces().has_value());
  EXPECT_EQ(*train.word_pieces(), tiny_vocabulary().word_piece_ids());
  EXPECT_EQ(train.word_pieces()->mask, 4);
  EXPECT_TRUE(train.word_pieces()->continues[6]);
  EXPECT_FALSE(train.word_pieces()->continues[5]);
  const DatasetRecipe recipe = inspect_dataset(request().out).recipe;
  EXPECT_THAT(recipe.sources, ::testing::SizeIs(3));
  EXPECT_THAT(recipe.sources, ::testing::Contains(tiny_vocabulary().source()));
}

TEST_F(MaskedLanguageTest, ReadsTablesOfReviews) {
  write_text(source_ / "unsup.tsv", "path\tlabel\ttext\nx\t-1\tThe cat. Sat\tthe<br /><br />cat\n");
  write_text(source_ / "train.tsv", "path\tlabel\ttext\nx\t1\tcat\nx\t0\tsat");
  write_text(source_ / "a.txt", "the\n");  // not looked at
  EXPECT_THAT(built(request()),
              ElementsAre(Ids{2, 10, 12, 18, 13, 10, 12, 3}, Ids{2, 12, 3}, Ids{2, 13, 3}));
}

TEST_F(MaskedLanguageTest, ReadsTheFoldersOfReviews) {
  for (const char* kind : {"unsup", "neg", "pos"}) {
    std::filesystem::create_directories(source_ / "aclImdb" / "train" / kind);
  }
  const auto put = [&](const std::string& name, const std::string& text) {
    write_text(source_ / "aclImdb" / "train" / name, text);
  };
  put("unsup/10_0.txt", "cat");
  put("unsup/9_0.txt", "the");
  put("pos/0_9.txt", "sat. cat");
  put("neg/0_1.txt", "the the");
  EXPECT_THAT(built(request()),
              ElementsAre(Ids{2, 10, 3}, Ids{2, 12, 3}, Ids{2, 10, 10, 3}, Ids{2, 13, 18, 12, 3}));
}

TEST_F(MaskedLanguageTest, EndlessReviewFilesAreBadRows) {
  std::filesystem::create_directories(source_ / "aclImdb/train/unsup");
  for (const char* kind : {"neg", "pos"}) {
    std::filesystem::create_directories(source_ / "aclImdb/train" / kind);
  }
  write_text(source_ / "aclImdb/train/unsup/0_0.txt", "cat");
  write_text(source_ / "aclImdb/train/unsup/1_0.txt", "");
  std::filesystem::resize_file(source_ / "aclImdb/train/unsup/1_0.txt", (1 << 20) + 1);
  write_text(source_ / "aclImdb/train/unsup/2_0.txt", "sat");
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("1_0.txt: expected a text of at most 1048576 "
                                                 "bytes, found 1048577")));
  BuildRequest skipping = request();
  skipping.skip_bad_rows = 1;
  EXPECT_THAT(built(skipping), ElementsAre(Ids{2, 12, 3}, Ids{2, 13, 3}));
}

TEST_F(MaskedLanguageTest, SaysWhatIsWrong) {
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("expected text files")));
  write_text(source_ / "a.txt", "\n\n\n");
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("0 documents")));
  write_text(source_ / "a.txt", "the\n\ncat\n");
  BuildRequest held = request();
  held.masked_language.validation_share = 1e-9;
  EXPECT_THAT([&] { build_dataset(held); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("2 documents"), HasSubstr("too few"))));
  held.masked_language.validation_share = 0.95;
  EXPECT_THAT([&] { build_dataset(held); },
              ThrowsMessage<ConfigError>(HasSubstr("validation_share")));

  write_text(source_ / "unsup.tsv", "path\tlabel\ttext\nx\t-1\tcat\nx\tcat\nx\n");
  EXPECT_THAT([&] { build_dataset(request()); }, ThrowsMessage<DataError>(HasSubstr("train.tsv")));
  write_text(source_ / "train.tsv", "label\ttext\n1\tcat\n");
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(
                  HasSubstr("unsup.tsv:3: expected 3 fields (path, label, text), found 2")));
  BuildRequest skipping = request();
  skipping.skip_bad_rows = 2;
  EXPECT_THAT([&] { build_dataset(skipping); },
              ThrowsMessage<DataError>(HasSubstr("train.tsv:1: expected the header")));
  write_text(source_ / "train.tsv", "path\tlabel\ttext\nx\t1\tsat\n");
  EXPECT_THAT(built(skipping), ElementsAre(Ids{2, 12, 3}, Ids{2, 13, 3}));
  EXPECT_THAT(inspect_dataset(skipping.out).skipped, ::testing::SizeIs(2));
}

TEST_F(MaskedLanguageTest, TheThreadsDoNotMatter) {
  std::string text;
  for (int i = 0; i < 60000; ++i) {
    text += i % 7 == 0 ? "\n" : (i % 3 == 0 ? "the cat sat.\n" : "caf\xc3\xa9, unaffable the\n");
  }
  write_text(source_ / "a.txt", text);
  BuildRequest wanted = request();
  wanted.masked_language = {.validation_share = 0.1, .short_share = 0.1};
  std::string first;
  for (const int threads : {1, 2, 5}) {
    wanted.threads = threads;
    wanted.out = folder_.path() / std::to_string(threads);
    const std::string fingerprint = build_dataset(wanted).fingerprint;
    if (first.empty()) first = fingerprint;
    EXPECT_EQ(fingerprint, first);
  }
  wanted.seed = 1;
  wanted.out = folder_.path() / "seed";
  EXPECT_NE(build_dataset(wanted).fingerprint, first);
}

TEST_F(MaskedLanguageTest, AnIndexWithOtherPiecesIsRefused) {
  const auto write = [&](const WordPieceIds& pieces) {
    const TemporaryFolder out;
    DatasetWriter writer(out.path(), {.recipe = {.task = "pretrain/mlm", .generator = "test"},
                                      .splits = {"train"},
                                      .vocabulary_size = 35,
                                      .word_pieces = pieces});
    const Ids tokens = {2, 3};
    writer.add(0, {.tokens8 = tokens});
    writer.finish();
    EXPECT_EQ(Dataset::open(out.path(), "train").word_pieces(), pieces);
  };
  const WordPieceIds sound = tiny_vocabulary().word_piece_ids();
  EXPECT_NO_THROW(write(sound));
  for (std::int32_t WordPieceIds::*id :
       {&WordPieceIds::cls, &WordPieceIds::sep, &WordPieceIds::mask}) {
    for (const std::int32_t value : {-1, 35}) {
      WordPieceIds wrong = sound;
      wrong.*id = value;
      EXPECT_THAT([&] { write(wrong); }, ThrowsMessage<DataError>(HasSubstr("special id")));
    }
  }
  WordPieceIds wrong = sound;
  wrong.continues.resize(41);
  EXPECT_THAT([&] { write(wrong); }, ThrowsMessage<DataError>(HasSubstr("expected 5 bytes")));
}

// The example that the published code comes with, where it is beside the sources.
TEST_F(MaskedLanguageTest, ReadsThePublishedExample) {
  const auto bert = shared_data() / "bert";
  if (!std::filesystem::exists(bert / "sample_text.txt")) GTEST_SKIP() << "no folder " << bert;
  BuildRequest wanted = request();
  wanted.vocabulary = bert / "vocab.txt";
  wanted.source = bert;
  wanted.max_length = 128;
  build_dataset(wanted);
  EXPECT_TRUE(verify_dataset(wanted.out).problems.empty());
  const Dataset train = Dataset::open(wanted.out, "train");
  EXPECT_GT(train.size(), 5U);
  EXPECT_EQ(train.word_pieces()->mask, 103);
  std::size_t continues = 0;
  for (const bool piece : train.word_pieces()->continues) continues += piece ? 1 : 0;
  EXPECT_EQ(continues, 5828U);
}

}  // namespace
}  // namespace sbm::data
