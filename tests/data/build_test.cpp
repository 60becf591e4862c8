#include "data/build.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "data/build_folder.h"
#include "data/inspect.h"
#include "data/verify.h"
#include "tests/data/temporary_folder.h"
#include "tests/data/tiny_vocabulary.h"

namespace sbm::data {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

BuildRequest small_listops(const std::filesystem::path& out) {
  BuildRequest request;
  request.task = "lra/listops";
  request.out = out;
  request.listops = {.train_samples = 200,
                     .validation_samples = 20,
                     .test_samples = 30,
                     .min_length = 20,
                     .max_length = 200,
                     .seed = 4};
  request.threads = 2;
  return request;
}

BuildRequest small_repeated(const std::filesystem::path& out, std::int32_t length) {
  BuildRequest request;
  request.task = "synthetic/repeated-tokens";
  request.out = out;
  request.repeated_tokens = {
      .train_samples = 20, .validation_samples = 5, .test_samples = 6, .length = length};
  return request;
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

TEST(Build, ListOpsIsCompleteAndVerifies) {
  const TemporaryFolder folder;
  std::uint64_t reported = 0;
  const BuildReport report =
      build_dataset(small_listops(folder.path() / "a/b/data"), [&](const BuildProgress& progress) {
        EXPECT_GT(progress.samples, reported);
        EXPECT_EQ(progress.total, 250U);
        reported = progress.samples;
      });
  EXPECT_EQ(reported, 250U);
  EXPECT_FALSE(report.reused);
  EXPECT_EQ(report.folder, std::filesystem::canonical(folder.path()) / "a/b/data");
  ASSERT_EQ(report.splits.size(), 3U);
  EXPECT_EQ(report.splits[1].name, "validation");
  EXPECT_EQ(report.splits[1].samples, 20U);
  EXPECT_THAT(verify_dataset(report.folder).problems, ::testing::IsEmpty());
  EXPECT_THAT(names_in(folder.path() / "a/b"), ::testing::ElementsAre("data"));

  const DatasetSummary summary = inspect_dataset(report.folder);
  EXPECT_EQ(summary.recipe.task, "lra/listops");
  EXPECT_EQ(summary.fingerprint, report.fingerprint);
  EXPECT_EQ(summary.vocabulary_size, 17);
  EXPECT_EQ(summary.label_names.size(), 10U);
  EXPECT_THAT(summary.recipe.parameters,
              ::testing::Contains(std::pair<std::string, std::string>("seed", "4")));
  const SplitSummary& train = summary.splits[0];
  EXPECT_EQ(train.samples, 200U);
  EXPECT_GT(train.lengths.min, 20);
  EXPECT_LT(train.lengths.max, 200);
  std::uint64_t labels = 0;
  for (const std::uint64_t count : train.label_counts) labels += count;
  EXPECT_EQ(labels, 200U);
  EXPECT_GE(train.majority_share, 0.1);
  EXPECT_LT(train.majority_share, 0.5);
}

TEST(Build, TheSameBytesWhateverTheThreads) {
  const TemporaryFolder folder;
  std::vector<std::string> fingerprints;
  for (int threads = 1; threads <= 3; ++threads) {
    BuildRequest request = small_listops(folder.path() / std::to_string(threads));
    request.threads = threads;
    fingerprints.push_back(build_dataset(request).fingerprint);
    EXPECT_EQ(read_bytes(request.out / "train/shard-00000.sbm"),
              read_bytes(folder.path() / "1/train/shard-00000.sbm"));
  }
  EXPECT_EQ(fingerprints, std::vector<std::string>(3, fingerprints[0]));
}

TEST(Build, RepeatedTokensUseTheNarrowestTokens) {
  const TemporaryFolder folder;
  for (const std::int32_t length : {1, 255, 256, 300}) {
    const auto out = folder.path() / std::to_string(length);
    build_dataset(small_repeated(out, length));
    const Dataset test = Dataset::open(out, "test");
    EXPECT_EQ(test.size(), 6U);
    EXPECT_EQ(test.vocabulary_size(), length + 1);
    EXPECT_EQ(test.longest(), length);
    EXPECT_EQ(test.label_kind(), LabelKind::kPerToken);
    EXPECT_EQ(test.sample(0).tokens8.empty(), length > 255);
    RepeatedTokensSample expected;
    draw_repeated_tokens({.length = length}, 2, 5, expected);
    const SampleView sample = test.sample(5);
    for (std::size_t t = 0; t < expected.tokens.size(); ++t) {
      EXPECT_EQ(length > 255 ? sample.tokens16[t] : sample.tokens8[t], expected.tokens[t]);
      EXPECT_EQ(sample.token_labels[t], expected.labels[t]);
    }
    EXPECT_THAT(verify_dataset(out).problems, ::testing::IsEmpty());
  }
  const DatasetSummary summary = inspect_dataset(folder.path() / "300");
  EXPECT_EQ(summary.splits[0].label_counts[0] + summary.splits[0].label_counts[1], 20U * 300);
  EXPECT_DOUBLE_EQ(summary.splits[0].lengths.median, 300);
}

TEST(Build, ReusesTheSameAndRefusesAnother) {
  const TemporaryFolder folder;
  const BuildRequest request = small_listops(folder.path() / "data");
  const BuildReport built = build_dataset(request);
  BuildRequest again = request;
  again.threads = 1;
  const BuildReport reused = build_dataset(again);
  EXPECT_TRUE(reused.reused);
  EXPECT_EQ(reused.fingerprint, built.fingerprint);
  again.listops.seed = 5;
  EXPECT_THAT([&] { build_dataset(again); },
              ThrowsMessage<ConfigError>(HasSubstr("expected seed = 5, found seed = 4")));
  EXPECT_THAT([&] { build_dataset(small_repeated(request.out, 8)); },
              ThrowsMessage<ConfigError>(HasSubstr("holds another data set")));
  std::filesystem::remove(request.out / "test/shard-00000.sbm");
  EXPECT_THROW(build_dataset(request), DataError);
}

TEST(Build, OverwritesNothing) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "empty");
  EXPECT_FALSE(build_dataset(small_repeated(folder.path() / "empty", 8)).reused);
  std::filesystem::create_directory(folder.path() / "full");
  write_text(folder.path() / "full/notes.txt", "mine");
  EXPECT_THAT([&] { build_dataset(small_repeated(folder.path() / "full", 8)); },
              ThrowsMessage<ConfigError>(HasSubstr("found other files")));
  EXPECT_THAT([&] { build_dataset(small_repeated(folder.path() / "full/notes.txt", 8)); },
              ThrowsMessage<ConfigError>(HasSubstr("found a file")));
  EXPECT_THROW(build_dataset(small_repeated(folder.path() / "full/notes.txt/data", 8)), DataError);
  EXPECT_THROW(build_dataset(small_repeated("", 8)), ConfigError);
  EXPECT_THROW(build_dataset(small_repeated("/", 8)), ConfigError);
}

TEST(Build, TrailingSlashesAndLinksAreUnderstood) {
  const TemporaryFolder folder;
  EXPECT_EQ(build_dataset(small_repeated(folder.path().string() + "/data/", 8)).folder.filename(),
            "data");
  std::filesystem::create_directory(folder.path() / "real");
  std::filesystem::create_directory_symlink(folder.path() / "real", folder.path() / "link");
  build_dataset(small_repeated(folder.path() / "link", 8));
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "real/index.pb"));
}

TEST(Build, SaysWhatItDoesNotKnow) {
  BuildRequest request;
  request.task = "lra/listop";
  EXPECT_THAT([&] { build_dataset(request); },
              ThrowsMessage<ConfigError>(HasSubstr("\"lra/listops\"")));
  request = small_repeated("x", 8);
  request.source = "somewhere";
  EXPECT_THAT([&] { build_dataset(request); }, ThrowsMessage<ConfigError>(HasSubstr("generated")));
  EXPECT_THAT(buildable_tasks(),
              ::testing::IsSupersetOf({"lra/listops", "synthetic/repeated-tokens"}));
}

TEST(Build, KnowsWhatCanBeGenerated) {
  for (const char* task : {"lra/listops", "lra/pathfinder128", "synthetic/repeated-tokens"}) {
    EXPECT_TRUE(is_generated(task)) << task;
  }
  for (const char* task : {"lra/text", "lra/image", "lra/retrieval", "lra/none"}) {
    EXPECT_FALSE(is_generated(task)) << task;
  }
}

TEST(Build, SaysWhichOptionsAreOutOfRange) {
  BuildRequest request = small_repeated("x", 8);
  request.skip_bad_rows = -1;
  EXPECT_THAT([&] { build_dataset(request); }, ThrowsMessage<ConfigError>(HasSubstr("bad rows")));
  request = small_repeated("x", 8);
  request.max_length = kMaxBuildLength + 1;
  EXPECT_THAT([&] { build_dataset(request); }, ThrowsMessage<ConfigError>(HasSubstr("length")));
}

TEST(Build, NamesTheFieldsOfTheConfiguration) {
  const TemporaryFolder folder;
  const auto refused = [&](const char* task, const auto& change, const char* field) {
    BuildRequest request;
    request.task = task;
    request.out = folder.path() / "data";
    change(request);
    EXPECT_THAT([&] { build_dataset(request); },
                ThrowsMessage<ConfigError>(HasSubstr(std::string(field) + ":")));
  };
  refused(
      "lra/listops", [](BuildRequest& request) { request.listops.max_depth = 0; },
      "data.listops.max_depth");
  refused(
      "lra/pathfinder32", [](BuildRequest& request) { request.pathfinder.train_samples = -1; },
      "data.pathfinder.train_samples");
  refused(
      "synthetic/repeated-tokens",
      [](BuildRequest& request) { request.repeated_tokens.length = 0; },
      "data.repeated_tokens.length");
  refused(
      "lra/text",
      [&](BuildRequest& request) {
        request.source = folder.path();
        request.text.validation_share = 1;
      },
      "data.text.validation_share");
  write_text(folder.path() / "vocab.txt", tiny_vocabulary_text());
  const auto words = [&](BuildRequest& request) {
    request.source = folder.path();
    request.vocabulary = folder.path() / "vocab.txt";
  };
  refused(
      "pretrain/mlm",
      [&](BuildRequest& request) {
        words(request);
        request.masked_language.validation_share = 1;
      },
      "data.masked_language.validation_share");
  refused(
      "pretrain/mlm",
      [&](BuildRequest& request) {
        words(request);
        request.masked_language.short_share = 2;
      },
      "data.masked_language.short_share");
}

TEST(Build, DefaultNamesTellParametersApart) {
  const BuildRequest request = small_listops("x");
  BuildRequest other = request;
  other.threads = 7;
  other.out = "y";
  EXPECT_EQ(default_folder_name(request), default_folder_name(other));
  other.listops.max_depth = 9;
  EXPECT_NE(default_folder_name(request), default_folder_name(other));
  EXPECT_THAT(default_folder_name(request), ::testing::MatchesRegex("lra-listops-[0-9a-f]+"));
}

TEST(Build, ReadsPublishedFiles) {
  const TemporaryFolder folder;
  const std::string header = "Source\tTarget\r\n";
  write_text(folder.path() / "basic_train.tsv",
             header + "( ( ( [SM 8 ) 9 ) ] )\t7\r\n( ( ( [MAX 8 ) 9 ) ] )\t9\r\n");
  write_text(folder.path() / "basic_val.tsv", header + "( ( [MED 3 ) ] )\t3\r\n");
  BuildRequest request;
  request.task = "lra/listops";
  request.out = folder.path() / "data";
  request.source = folder.path();
  EXPECT_THAT([&] { build_dataset(request); }, ThrowsMessage<DataError>(HasSubstr("basic_test")));
  write_text(folder.path() / "basic_test.tsv", header + "( ( [MED 3 ) ] )\t4\r\n");
  EXPECT_THAT([&] { build_dataset(request); },
              ThrowsMessage<DataError>(HasSubstr("basic_test.tsv:2: the label is 4")));
  EXPECT_FALSE(std::filesystem::exists(request.out));
  write_text(folder.path() / "basic_test.tsv", header + "( ( [MED 3 ) ] )\t3\r\n");
  const BuildReport report = build_dataset(request);
  EXPECT_EQ(report.splits[0].samples, 2U);
  EXPECT_EQ(Dataset::open(request.out, "train").sample(1).label, 9);
  const DatasetSummary summary = inspect_dataset(request.out);
  ASSERT_EQ(summary.recipe.sources.size(), 3U);
  EXPECT_EQ(summary.recipe.sources[2].name, "basic_test.tsv");
  EXPECT_TRUE(build_dataset(request).reused);
  write_text(folder.path() / "basic_val.tsv", header + "( ( [MED 4 ) ] )\t4\r\n");
  EXPECT_THAT([&] { build_dataset(request); },
              ThrowsMessage<ConfigError>(HasSubstr("basic_val.tsv had other contents")));
}

TEST(Build, SkipsBadRowsOfPublishedFiles) {
  const TemporaryFolder folder;
  const std::string header = "Source\tTarget\r\n";
  write_text(folder.path() / "basic_train.tsv",
             header + "( ( ( [SM 8 ) 9 ) ] )\t6\r\nx\r\n( ( ( [MAX 8 ) 9 ) ] )\t9\r\n");
  write_text(folder.path() / "basic_val.tsv", header + "( ( [MED 3 ) ] )\t3\r\n");
  write_text(folder.path() / "basic_test.tsv", header + "( ( [MED 3 ) ] )\t3\r\n");
  BuildRequest request;
  request.task = "lra/listops";
  request.out = folder.path() / "data";
  request.source = folder.path();
  request.skip_bad_rows = 1;
  EXPECT_THAT([&] { build_dataset(request); },
              ThrowsMessage<DataError>(HasSubstr("basic_train.tsv:3: expected 2 fields, found 1")));
  request.skip_bad_rows = 2;
  const BuildReport report = build_dataset(request);
  ASSERT_EQ(report.skipped.size(), 2U);
  EXPECT_EQ(report.skipped[0].file, "basic_train.tsv");
  EXPECT_EQ(report.skipped[0].line, 2U);
  EXPECT_THAT(report.skipped[0].reason, HasSubstr("the label is 6"));
  EXPECT_EQ(report.skipped[1].line, 3U);
  EXPECT_EQ(report.splits[0].samples, 1U);
  EXPECT_EQ(Dataset::open(request.out, "train").sample(0).label, 9);
}

TEST(Build, AnAbandonedBuildLeavesNothing) {
  const TemporaryFolder folder;
  EXPECT_THROW(build_dataset(small_listops(folder.path() / "data"),
                             [](const BuildProgress&) { throw DataError("stop"); }),
               DataError);
  EXPECT_THAT(names_in(folder.path()), ::testing::IsEmpty());
}

TEST(Build, AKilledBuildIsNoDataSetAndIsCleanedUp) {
  const TemporaryFolder folder;
  BuildRequest request = small_listops(folder.path() / "data");
  request.threads = 1;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    build_dataset(request, [](const BuildProgress&) { ::raise(SIGKILL); });
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(std::filesystem::exists(request.out));
  EXPECT_EQ(names_in(folder.path()).size(), 1U);
  build_dataset(request);
  EXPECT_THAT(names_in(folder.path()), ::testing::ElementsAre("data"));
  EXPECT_THAT(verify_dataset(request.out).problems, ::testing::IsEmpty());
}

TEST(Build, SeveralAtOnceMakeOneDataSet) {
  const TemporaryFolder folder;
  std::vector<BuildReport> reports(4);
  std::vector<std::thread> threads;
  for (BuildReport& report : reports) {
    threads.emplace_back([&] { report = build_dataset(small_listops(folder.path() / "data")); });
  }
  for (std::thread& thread : threads) thread.join();
  int built = 0;
  for (const BuildReport& report : reports) {
    EXPECT_EQ(report.fingerprint, reports[0].fingerprint);
    built += report.reused ? 0 : 1;
  }
  EXPECT_EQ(built, 1);
  EXPECT_THAT(names_in(folder.path()), ::testing::ElementsAre("data"));
  EXPECT_THAT(verify_dataset(folder.path() / "data").problems, ::testing::IsEmpty());
}

TEST(BuildFolder, LeavesLivingNeighboursAlone) {
  const TemporaryFolder folder;
  BuildFolder first(folder.path() / "data");
  BuildFolder second(folder.path() / "data");
  EXPECT_TRUE(std::filesystem::exists(first.path()));
  EXPECT_NE(first.path(), second.path());
  write_text(first.path() / "a", "first");
  write_text(second.path() / "a", "second");
  EXPECT_TRUE(second.publish());
  EXPECT_FALSE(first.publish());
  const auto bytes = read_bytes(folder.path() / "data/a");
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "second");
}

}  // namespace
}  // namespace sbm::data
