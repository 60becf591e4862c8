#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/build.h"
#include "data/grey.h"
#include "data/inspect.h"
#include "data/verify.h"
#include "tests/data/shared_data.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

// The definition in exact arithmetic: 2989 r + 5870 g + 1140 b over 10000 * 255, times 255.5.
std::uint8_t exact_grey(std::uint32_t red, std::uint32_t green, std::uint32_t blue) {
  const std::uint64_t sum = 2989U * red + 5870U * green + 1140U * blue;
  return static_cast<std::uint8_t>(sum * 2555 / (std::uint64_t{25500000}));
}

TEST(Grey, DiffersFromExactArithmeticOnTheKnownColours) {
  // Measured with TensorFlow's order of operations in float32 (docs/data-lra.md).
  int different = 0;
  for (int r = 0; r < 256; ++r) {
    for (int g = 0; g < 256; ++g) {
      for (int b = 0; b < 256; ++b) {
        const int grey = tensorflow_grey(static_cast<std::uint8_t>(r), static_cast<std::uint8_t>(g),
                                         static_cast<std::uint8_t>(b));
        const int exact = exact_grey(static_cast<std::uint32_t>(r), static_cast<std::uint32_t>(g),
                                     static_cast<std::uint32_t>(b));
        if (grey != exact) {
          ++different;
          ASSERT_EQ(std::abs(grey - exact), 1) << r << " " << g << " " << b;
        }
      }
    }
  }
  EXPECT_EQ(different, 237);
  EXPECT_EQ(tensorflow_grey(255, 255, 255), 255);
  EXPECT_EQ(tensorflow_grey(0, 0, 0), 0);
}

std::vector<std::uint8_t> record(std::uint8_t label, std::uint8_t red, std::uint8_t green,
                                 std::uint8_t blue) {
  std::vector<std::uint8_t> bytes = {label};
  for (const std::uint8_t channel : {red, green, blue}) bytes.insert(bytes.end(), 1024, channel);
  return bytes;
}

class ImageTask : public ::testing::Test {
 protected:
  ImageTask() {
    for (int file = 1; file <= 5; ++file) {
      std::vector<std::uint8_t> bytes;
      for (std::uint8_t i = 0; i < 4; ++i) {
        const auto more = record(i, static_cast<std::uint8_t>(file), i, 200);
        bytes.insert(bytes.end(), more.begin(), more.end());
      }
      write_bytes(batch(file), bytes);
    }
    write_bytes(folder_.path() / "test_batch.bin", record(9, 255, 0, 0));
  }
  [[nodiscard]] std::filesystem::path batch(int number) const {
    return folder_.path() / ("data_batch_" + std::to_string(number) + ".bin");
  }
  BuildRequest request() const {
    BuildRequest request;
    request.task = "lra/image";
    request.source = folder_.path();
    request.out = folder_.path() / "data";
    return request;
  }

  TemporaryFolder folder_;
};

TEST_F(ImageTask, PixelsRowsAndSplits) {
  const BuildReport report = build_dataset(request());
  EXPECT_THAT(verify_dataset(report.folder).problems, IsEmpty());
  EXPECT_EQ(report.splits[0].samples, 18U);
  EXPECT_EQ(report.splits[1].samples, 2U);
  EXPECT_EQ(report.splits[2].samples, 1U);
  EXPECT_THAT(report.notes, ::testing::SizeIs(6));
  const Dataset validation = Dataset::open(report.folder, "validation");
  EXPECT_EQ(validation.vocabulary_size(), 256);
  EXPECT_EQ(validation.token_offset(), 0);
  EXPECT_EQ(validation.label_names()[3], "cat");
  EXPECT_EQ(validation.sample(1).label, 3);
  EXPECT_EQ(validation.sample(1).tokens8[77], tensorflow_grey(5, 3, 200));
  const Batch batch =
      collate(Dataset::open(report.folder, "test"), std::vector<std::uint64_t>{0}, 1024, 64);
  EXPECT_EQ(batch.padded_length, 1024);
  EXPECT_THAT(batch.tokens, ::testing::Each(tensorflow_grey(255, 0, 0)));
  EXPECT_THAT(batch.valid, ::testing::Each(1));
}

TEST_F(ImageTask, BlackPixelsAreTokens) {
  write_bytes(folder_.path() / "test_batch.bin", record(0, 0, 0, 0));
  const BuildReport report = build_dataset(request());
  const Batch batch =
      collate(Dataset::open(report.folder, "test"), std::vector<std::uint64_t>{0}, 1024, 64);
  EXPECT_THAT(batch.tokens, ::testing::Each(0));
  EXPECT_THAT(batch.valid, ::testing::Each(1));
}

TEST_F(ImageTask, SaysWhatIsWrongWithAFile) {
  put_byte(batch(3), 3073, 10);
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(
                  HasSubstr("data_batch_3.bin:2: byte 3073: expected a label below 10, found 10")));
  BuildRequest skipping = request();
  skipping.skip_bad_rows = 1;
  EXPECT_EQ(build_dataset(skipping).splits[0].samples, 17U);
  std::filesystem::remove_all(skipping.out);
  put_byte(batch(3), 3073, 9);
  auto bytes = read_bytes(batch(2));
  bytes.pop_back();
  write_bytes(batch(2), bytes);
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("found 12291 bytes: 3072 beyond the last")));
  write_bytes(batch(2), {});
  EXPECT_THROW(build_dataset(request()), DataError);
  std::filesystem::remove(batch(2));
  EXPECT_THAT([&] { build_dataset(request()); },
              ThrowsMessage<DataError>(HasSubstr("data_batch_2.bin")));
}

TEST_F(ImageTask, TheRealImages) {
  const std::string missing =
      unpack_shared("cifar10/cifar-10-binary.tar", folder_.path() / "cifar.tar");
  if (!missing.empty()) GTEST_SKIP() << missing;
  const std::string unpack = "tar -xf '" + (folder_.path() / "cifar.tar").string() + "' -C '" +
                             folder_.path().string() + "'";
  ASSERT_EQ(std::system(unpack.c_str()), 0);
  std::filesystem::remove(folder_.path() / "cifar.tar");
  BuildRequest build = request();
  build.source = folder_.path() / "cifar-10-batches-bin";
  const BuildReport report = build_dataset(build);
  EXPECT_EQ(report.splits[0].samples, 45000U);
  EXPECT_EQ(report.splits[1].samples, 5000U);
  EXPECT_EQ(report.splits[2].samples, 10000U);
  EXPECT_THAT(report.notes, IsEmpty());
  EXPECT_THAT(verify_dataset(report.folder).problems, IsEmpty());
  const DatasetSummary summary = inspect_dataset(report.folder);
  EXPECT_THAT(summary.splits[2].label_counts, ::testing::Each(1000U));
  const Dataset train_split = Dataset::open(report.folder, "train");
  const SampleView train = train_split.sample(0);
  EXPECT_EQ(train.label, 6);
  EXPECT_THAT(train.tokens8.first(8), ElementsAre(61, 45, 48, 56, 78, 96, 113, 117));
  const Dataset test_split = Dataset::open(report.folder, "test");
  const SampleView test = test_split.sample(0);
  EXPECT_EQ(test.label, 3);
  EXPECT_THAT(test.tokens8.first(8), ElementsAre(118, 118, 123, 125, 119, 115, 121, 119));
}

}  // namespace
}  // namespace sbm::data
