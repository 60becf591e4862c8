#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/build.h"
#include "data/inspect.h"
#include "data/pathfinder_files.h"
#include "data/verify.h"
#include "tests/data/png_fixtures.h"
#include "tests/data/shared_data.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

TEST(PathfinderFiles, RowsOfMetadata) {
  const std::string rest = " 1.0 14 4 2 0.5 1 1";
  PathfinderRow row;
  EXPECT_EQ(parse_pathfinder_row("imgs/3 sample_12.png 12 1" + rest, row), "");
  EXPECT_EQ(row.image, "imgs/3/sample_12.png");
  EXPECT_EQ(row.label, 1);
  const struct {
    std::string line;
    const char* problem;
  } kCases[] = {
      {"imgs/3 sample_12.png 12 1", "expected 11 fields, found 4"},
      {"", "expected 11 fields, found 1"},
      {"imgs/3 sample_12.png 12 1" + rest + " 1", "expected 11 fields, found 12"},
      {"imgs/3 sample_12.png 12 2" + rest, "expected the label 0 or 1, found \"2\""},
      {"imgs/.. sample_12.png 12 1" + rest, "expected imgs/N sample_N.png, found \"imgs/..\""},
      {"/etc sample_12.png 12 1" + rest, "found \"/etc\""},
      {"imgs/3 ../../x.png 12 1" + rest, "found \"imgs/3\" \"../../x.png\""},
      {"imgs/3 sample_.png 12 1" + rest, "expected imgs/N"},
      {"imgs/3 sample_1/2.png 12 1" + rest, "expected imgs/N"},
  };
  for (const auto& bad : kCases) {
    EXPECT_THAT(parse_pathfinder_row(bad.line, row), HasSubstr(bad.problem)) << bad.line;
  }
}

class PathfinderTask : public ::testing::Test {
 protected:
  // Twenty images in the folders 2 and 10; image i has pixels i and label i % 2.
  PathfinderTask() {
    for (int i = 0; i < 20; ++i) write_bytes_at(image(i), png(32, static_cast<std::uint8_t>(i)));
    write_metadata("2", rows(0, 10));
    write_metadata("10", rows(10, 20));
  }
  [[nodiscard]] std::filesystem::path level() const {
    return folder_.path() / "source/pathfinder32/curv_contour_length_14";
  }
  [[nodiscard]] std::string image(int i) const {
    return std::string(i < 10 ? "imgs/2" : "imgs/10") + "/sample_" + std::to_string(i) + ".png";
  }
  [[nodiscard]] std::string rows(int begin, int end) const {
    std::string text;
    for (int i = begin; i < end; ++i) {
      std::string name = image(i);
      name[name.rfind('/')] = ' ';
      text +=
          name + " " + std::to_string(i) + " " + std::to_string(i % 2) + " 1.0 14 4 2 0.5 1 1\n";
    }
    return text;
  }
  void write_bytes_at(const std::string& name, const std::vector<std::uint8_t>& bytes) const {
    std::filesystem::create_directories((level() / name).parent_path());
    write_bytes(level() / name, bytes);
  }
  void write_metadata(const std::string& number, const std::string& text) const {
    std::filesystem::create_directories(level() / "metadata");
    write_text(level() / "metadata" / (number + ".npy"), text);
  }
  [[nodiscard]] BuildRequest request() const {
    BuildRequest request;
    request.task = "lra/pathfinder32";
    request.source = folder_.path() / "source";
    request.out = folder_.path() / "data";
    request.threads = 2;
    return request;
  }

  TemporaryFolder folder_;
};

TEST_F(PathfinderTask, TenthsByPositionInOrderOfTheNumbers) {
  const BuildReport report = build_dataset(request());
  EXPECT_THAT(verify_dataset(report.folder).problems, IsEmpty());
  EXPECT_EQ(report.splits[0].samples, 16U);
  const Dataset train = Dataset::open(report.folder, "train");
  const Dataset validation = Dataset::open(report.folder, "validation");
  const Dataset test = Dataset::open(report.folder, "test");
  for (std::uint64_t i = 0; i < 20; ++i) {
    const SampleView sample = i < 16   ? train.sample(i)
                              : i < 18 ? validation.sample(i - 16)
                                       : test.sample(i - 18);
    EXPECT_EQ(sample.length(), 1024);
    EXPECT_THAT(sample.tokens8, Each(i));
    EXPECT_EQ(sample.label, static_cast<std::int32_t>(i % 2));
  }
  BuildRequest again = request();
  again.threads = 1;
  EXPECT_TRUE(build_dataset(again).reused);
  write_bytes_at(image(3), png(32, 99));
  EXPECT_THAT([&] { build_dataset(again); },
              ThrowsMessage<ConfigError>(HasSubstr("imgs (20 files) had other contents")));
}

TEST_F(PathfinderTask, SaysWhichImageIsBad) {
  std::vector<std::uint8_t> cut = png(32, 1);
  cut.resize(cut.size() / 2);
  const struct {
    std::vector<std::uint8_t> bytes;
    const char* problem;
  } kCases[] = {
      {cut, "metadata/10.npy:2: imgs/10/sample_11.png: damaged or no PNG image"},
      {{}, "sample_11.png: expected a PNG image, found an empty file"},
      {png(64, 1), "sample_11.png: expected 32 x 32 pixels, found 64 x 64"},
  };
  for (const auto& bad : kCases) {
    write_bytes_at(image(11), bad.bytes);
    EXPECT_THAT([&] { build_dataset(request()); },
                ThrowsMessage<DataError>(HasSubstr(bad.problem)));
  }
  std::filesystem::remove(level() / image(11));
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("imgs/10/sample_11.png")));
  BuildRequest skipping = request();
  skipping.skip_bad_rows = 1;
  const BuildReport report = build_dataset(skipping);
  EXPECT_EQ(report.splits[0].samples, 15U);
  ASSERT_EQ(report.skipped.size(), 1U);
  EXPECT_EQ(report.skipped[0].file, "pathfinder32/curv_contour_length_14/metadata/10.npy");
  EXPECT_EQ(report.skipped[0].line, 2U);
}

TEST_F(PathfinderTask, SaysWhichRowIsBad) {
  write_metadata("2", "imgs/2 ../../../x.png 0 1 1.0 14 4 2 0.5 1 1\n" + rows(1, 10));
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("metadata/2.npy:1: expected imgs/N")));
  write_metadata("2", std::string("\x93NUMPY\x01") + rows(0, 10));
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("found a NumPy array")));
  write_metadata("2", "");
  write_metadata("10", "");
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("expected images, found none listed")));
  std::filesystem::remove_all(level() / "metadata");
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("curv_contour_length_14/metadata")));
  std::filesystem::create_directories(level() / "metadata");
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("expected files N.npy, found none")));
}

// Left out or not, a row or an image keeps its position: the borders of the splits stay.
TEST_F(PathfinderTask, BadRowsAndBadImagesMoveNoBorder) {
  std::string bad_rows;
  for (int i = 0; i < 6; ++i) bad_rows += "bad\n";
  write_metadata("2", bad_rows + rows(6, 10));
  write_bytes_at(image(7), {});
  BuildRequest build = request();
  build.skip_bad_rows = 7;
  const BuildReport report = build_dataset(build);
  EXPECT_EQ(report.skipped.size(), 7U);
  EXPECT_EQ(report.splits[0].samples, 9U);
  EXPECT_THAT(Dataset::open(report.folder, "train").sample(8).tokens8, Each(15));
  EXPECT_EQ(report.splits[1].samples, 2U);
  EXPECT_THAT(Dataset::open(report.folder, "validation").sample(0).tokens8, Each(16));
  EXPECT_THAT(Dataset::open(report.folder, "test").sample(0).tokens8, Each(18));
}

TEST_F(PathfinderTask, AnImageIsListedOnce) {
  write_metadata("2", rows(0, 3) + rows(1, 2) + rows(3, 10));
  write_metadata("10", rows(10, 20) + rows(0, 1));
  EXPECT_THAT(
      [&] { build_dataset(request()); },
      ThrowsMessage<DataError>(HasSubstr("metadata/2.npy:4: expected each image once, found "
                                         "imgs/2/sample_1.png again, first in metadata/2.npy:2")));
  BuildRequest build = request();
  build.skip_bad_rows = 2;
  const BuildReport report = build_dataset(build);
  ASSERT_EQ(report.skipped.size(), 2U);
  EXPECT_EQ(report.skipped[0].line, 4U);
  EXPECT_EQ(report.skipped[1].line, 11U);
  EXPECT_THAT(report.skipped[1].reason, HasSubstr("first in metadata/2.npy:1"));
  EXPECT_EQ(report.splits[0].samples + report.splits[1].samples + report.splits[2].samples, 20U);
}

TEST_F(PathfinderTask, LeavesOutTheEmptyImageOfTheRelease) {
  std::filesystem::rename(level(), level().parent_path() / "curv_baseline");
  const std::filesystem::path easy = level().parent_path() / "curv_baseline";
  std::filesystem::create_directories(easy / "imgs/0");
  write_bytes(easy / "imgs/0/sample_172.png", {});
  write_text(easy / "metadata/0.npy", "imgs/0 sample_172.png 172 1 1.0 6 2 2 0.5 1 1\n");
  BuildRequest build = request();
  build.pathfinder.level = PathfinderLevel::kEasy;
  const BuildReport report = build_dataset(build);
  EXPECT_THAT(report.notes, ElementsAre("imgs/0/sample_172.png is empty, as in the release, and "
                                        "left out"));
  EXPECT_EQ(report.splits[0].samples + report.splits[1].samples + report.splits[2].samples, 20U);
}

TEST_F(PathfinderTask, GeneratesWithoutASource) {
  BuildRequest build = request();
  build.source.clear();
  build.pathfinder = {.level = PathfinderLevel::kEasy,
                      .train_samples = 30,
                      .validation_samples = 4,
                      .test_samples = 5};
  const BuildReport report = build_dataset(build);
  EXPECT_EQ(report.splits[0].samples, 30U);
  EXPECT_EQ(report.splits[2].samples, 5U);
  EXPECT_THAT(verify_dataset(report.folder).problems, IsEmpty());
  EXPECT_EQ(Dataset::open(report.folder, "test").longest(), 1024);
  BuildRequest other = build;
  other.seed = 1;
  EXPECT_NE(default_folder_name(other), default_folder_name(build));
  other = build;
  other.pathfinder.level = PathfinderLevel::kHard;
  EXPECT_NE(default_folder_name(other), default_folder_name(build));
  other.task = "lra/pathfinder128";
  other.out = folder_.path() / "x";
  other.pathfinder = {.train_samples = 1, .validation_samples = 0, .test_samples = 0};
  build_dataset(other);
  EXPECT_EQ(Dataset::open(other.out, "train").longest(), 128 * 128);
}

TEST_F(PathfinderTask, TheReferenceImages) {
  const std::string missing =
      unpack_shared("pathfinder32_reference.tar", folder_.path() / "reference.tar");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const std::string unpack = "tar -xf '" + (folder_.path() / "reference.tar").string() + "' -C '" +
                             folder_.path().string() + "'";
  ASSERT_EQ(std::system(unpack.c_str()), 0);
  const struct {
    PathfinderLevel level;
    std::uint64_t connected;
    double not_black;
  } kLevels[] = {{PathfinderLevel::kEasy, 484, 22.7},
                 {PathfinderLevel::kIntermediate, 496, 26.5},
                 {PathfinderLevel::kHard, 490, 34.2}};
  for (const auto& expected : kLevels) {
    BuildRequest build = request();
    build.source = folder_.path() / "pathfinder32_reference";
    build.pathfinder.level = expected.level;
    build.out = folder_.path() / pathfinder_folder(expected.level);
    const BuildReport report = build_dataset(build);
    EXPECT_EQ(report.splits[0].samples, 800U);
    EXPECT_EQ(report.splits[1].samples, 100U);
    EXPECT_EQ(report.splits[2].samples, 100U);
    EXPECT_TRUE(verify_dataset(report.folder).problems.empty());
    std::uint64_t connected = 0;
    double not_black = 0;
    for (const SplitSummary& split : inspect_dataset(report.folder).splits) {
      connected += split.label_counts[1];
      const Dataset dataset = Dataset::open(report.folder, split.name);
      for (std::uint64_t id = 0; id < dataset.size(); ++id) {
        for (const std::uint8_t pixel : dataset.sample(id).tokens8) {
          not_black += pixel > 0 ? 100.0 / (1000 * 1024) : 0;
        }
      }
    }
    EXPECT_EQ(connected, expected.connected);
    EXPECT_NEAR(not_black, expected.not_black, 0.06);
  }
}

}  // namespace
}  // namespace sbm::data
