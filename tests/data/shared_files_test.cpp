// Every folder of real data that no other suite builds as a whole, where it is beside the sources:
// built, inspected, verified, and as many rows as are known to be in it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "data/build.h"
#include "data/inspect.h"
#include "data/verify.h"
#include "tests/data/shared_data.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SharedFiles : public ::testing::Test {
 protected:
  SharedFiles() { std::filesystem::create_directories(source_); }

  // Samples of each split.
  std::vector<std::uint64_t> built(const std::string& task) {
    BuildRequest request;
    request.task = task;
    request.source = source_;
    request.out = folder_.path() / "out";
    request.threads = 2;
    if (task == "pretrain/mlm") request.vocabulary = shared_data() / "bert" / "vocab.txt";
    report_ = build_dataset(request);
    EXPECT_THAT(verify_dataset(request.out).problems, IsEmpty());
    std::vector<std::uint64_t> samples;
    const DatasetSummary summary = inspect_dataset(request.out);
    for (const SplitSummary& split : summary.splits) samples.push_back(split.samples);
    return samples;
  }

  TemporaryFolder folder_;
  std::filesystem::path source_ = folder_.path() / "source";
  BuildReport report_;
};

// The NYU file has the columns the other way round, no header and lengths of its own.
TEST_F(SharedFiles, ListOpsOfBothSources) {
  const std::filesystem::path nyu = folder_.path() / "nyu.tsv";
  for (const auto& [name, to] :
       {std::pair{"listops/nyu_test_d20s.tsv", nyu},
        std::pair{"listops/reference_val.tsv", source_ / "basic_val.tsv"}}) {
    const std::string missing = unpack_shared(name, to);
    if (!missing.empty()) GTEST_SKIP() << missing;
  }
  std::filesystem::copy_file(source_ / "basic_val.tsv", source_ / "basic_test.tsv");
  std::ifstream rows(nyu);
  std::ofstream train(source_ / "basic_train.tsv", std::ios::binary);
  train << "Source\tTarget\r\n";
  for (std::string row; std::getline(rows, row);) {
    train << row.substr(2) << '\t' << row[0] << "\r\n";
  }
  train.close();
  EXPECT_THAT(built("lra/listops"), ElementsAre(10000, 2000, 2000));
  EXPECT_THAT(report_.skipped, IsEmpty());
}

// 75,000 reviews: those without labels and those of train.
TEST_F(SharedFiles, ReviewsAsACorpus) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "100 MB of text take too long under a sanitizer";
#endif
  for (const char* name : {"unsup.tsv", "train.tsv"}) {
    const std::string missing = unpack_shared(std::string("imdb/") + name, source_ / name);
    if (!missing.empty()) GTEST_SKIP() << missing;
  }
  const auto lines = [&](const char* name) {
    const std::vector<std::uint8_t> bytes = read_bytes(source_ / name);
    return std::ranges::count(bytes, '\n');
  };
  EXPECT_EQ(lines("unsup.tsv"), 50001);  // with a header
  EXPECT_EQ(lines("train.tsv"), 25001);
  EXPECT_THAT(built("pretrain/mlm"), ElementsAre(239737, 2505));
}

}  // namespace
}  // namespace sbm::data
