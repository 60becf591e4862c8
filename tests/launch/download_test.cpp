// `sbm data download`: what it prints and how it ends; the rest is tested below in `data`.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/launch/process.h"
#include "tests/temporary_folder.h"

namespace sbm::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class DownloadCommand : public testing::Test {
 protected:
  // Nothing listens at the address.
  [[nodiscard]] Outcome download(std::vector<std::string> words) const {
    words.insert(words.begin(), {"env", "-u", "http_proxy", "-u", "all_proxy", "-u", "ALL_PROXY",
                                 SBM_PROGRAM, "data", "download"});
    words.insert(words.end(), {"--out", out_, "--url", "http://127.0.0.1:1"});
    return run(words);
  }
  // The archive as a person would put it there.
  void put_archive() const {
    std::filesystem::create_directories(out_ + "/lra_release/listops-1000");
    std::ofstream(out_ + "/lra_release/listops-1000/basic_train.tsv") << "Source\tTarget\n";
    ASSERT_EQ(run({"tar", "-C", out_, "-czf", out_ + "/lra_release.gz", "lra_release"}).code, 0);
  }

  TemporaryFolder folder_;
  std::string out_ = (folder_.path() / "downloads").string();
};

TEST_F(DownloadCommand, WithoutInternetItEndsWithAnAdvice) {
  const Outcome outcome = download({"glue/cola"});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, AllOf(StartsWith("licence: CoLA"), HasSubstr("sbm: cannot fetch "),
                                 HasSubstr("put it here as " + out_ + "/CoLA.zip"),
                                 HasSubstr("Then: sbm data build --task glue/cola --source")));
}

TEST_F(DownloadCommand, UnpacksAnArchiveThatLiesThere) {
  put_archive();
  const Outcome outcome = download({"lra/listops"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("already there: lra_release.gz"),
                                 HasSubstr("no checksum is published; recorded now"),
                                 HasSubstr("next: sbm data build --task lra/listops --source " +
                                           out_ + "/listops-1000 --out datasets/lra-listops")));
  EXPECT_TRUE(std::filesystem::exists(out_ + "/listops-1000/basic_train.tsv"));
  EXPECT_THAT(download({"lra/listops"}).out, HasSubstr("as recorded in SHA256SUMS"));
}

TEST_F(DownloadCommand, JsonIsOneObject) {
  put_archive();
  const Outcome outcome = download({"lra/listops", "--json"});
  const auto answer = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(answer["task"], "lra/listops");
  EXPECT_EQ(answer["place"], out_ + "/listops-1000");
  EXPECT_EQ(answer["files"][0]["checksum"], "recorded now");
  EXPECT_EQ(answer["files"][0]["sha256"].get<std::string>().size(), 64U);
  EXPECT_THAT(outcome.err, HasSubstr("licence: "));
}

TEST_F(DownloadCommand, WhatHasNoFilesIsAUsageError) {
  const Outcome outcome = download({"synthetic/repeated-tokens"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_FALSE(std::filesystem::exists(out_));
}

}  // namespace
}  // namespace sbm::launch
