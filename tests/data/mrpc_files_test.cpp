#include "data/mrpc_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/data/shared_data.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr char kHeader[] = "\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n";

class MrpcFiles : public ::testing::Test {
 protected:
  MrpcFiles() {
    put(kMrpcTrainFile, std::string(kHeader) + "1\t70\t71\ta \"b\tc\r\n0\t80\t81\td\te\r\n");
    put(kMrpcDevIdsFile, "80\t81\n");
    put(kMrpcTestFile, std::string(kHeader) + "0\t1\t2\tx\ty\r\n1\t3\t4\tz\tw");
  }
  void put(const std::string& name, const std::string& text) const {
    write_text(folder_.path() / name, text);
  }
  [[nodiscard]] std::string get(const std::string& name) const {
    const auto bytes = read_bytes(folder_.path() / name);
    return {bytes.begin(), bytes.end()};
  }
  TemporaryFolder folder_;
};

TEST_F(MrpcFiles, HoldsOutTheListedRows) {
  arrange_mrpc(folder_.path());
  const std::string header = "\xef\xbb\xbfQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n";
  EXPECT_EQ(get("train.tsv"), header + "1\t70\t71\ta \"b\tc\n");
  EXPECT_EQ(get("dev.tsv"), header + "0\t80\t81\td\te\n");
  EXPECT_EQ(get("test.tsv"),
            "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\tx\ty\n1\t3\t4\tz\tw\n");
}

TEST_F(MrpcFiles, FilesThatDoNotFitAreRefused) {
  put(kMrpcDevIdsFile, "80\t81\n90\t91\n");
  EXPECT_THAT([&] { arrange_mrpc(folder_.path()); },
              ThrowsMessage<DataError>(HasSubstr("found 1 that are not, \"90")));
  put(kMrpcDevIdsFile, "80\t81\n");
  put(kMrpcTrainFile, std::string(kHeader) + "1\t70\t71\ta\n");
  EXPECT_THAT([&] { arrange_mrpc(folder_.path()); },
              ThrowsMessage<DataError>(HasSubstr("_train.txt:2: expected 5 fields, found 4")));
  std::filesystem::remove(folder_.path() / kMrpcTestFile);
  EXPECT_THROW(arrange_mrpc(folder_.path()), DataError);
}

// The real files give GLUE's own, byte for byte.
TEST_F(MrpcFiles, EqualsTheOfficialSplit) {
  const std::filesystem::path real = shared_data() / "glue" / "MRPC";
  if (!std::filesystem::exists(real)) GTEST_SKIP() << "no folder " << real;
  std::filesystem::copy_file(real / "dev_ids.tsv", folder_.path() / kMrpcDevIdsFile,
                             std::filesystem::copy_options::overwrite_existing);
  for (const char* name : {kMrpcTrainFile, kMrpcTestFile}) {
    std::filesystem::copy_file(real / name, folder_.path() / name,
                               std::filesystem::copy_options::overwrite_existing);
  }
  arrange_mrpc(folder_.path());
  for (const char* name : {"train.tsv", "dev.tsv", "test.tsv"}) {
    EXPECT_EQ(read_bytes(folder_.path() / name), read_bytes(real / name)) << name;
  }
}

}  // namespace
}  // namespace sbm::data
