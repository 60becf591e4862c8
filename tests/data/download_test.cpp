#include "data/download.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/error.h"
#include "data/build.h"
#include "data/file_digest.h"
#include "data/http_fetch.h"
#include "tests/data/archive_fixtures.h"
#include "tests/data/http_server.h"
#include "tests/data/shared_data.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

std::string read_text(const std::filesystem::path& path) {
  const auto bytes = read_bytes(path);
  return {bytes.begin(), bytes.end()};
}

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() {
    write_archive(folder_.path() / "made.zip", ArchiveKind::kZip,
                  {{.name = "CoLA/train.tsv", .body = std::string(5000, 'x')},
                   {.name = "CoLA/dev.tsv", .body = "y"}});
    archive_ = read_text(folder_.path() / "made.zip");
    digest_ = digest_file(folder_.path() / "made.zip", true);
    server_.serve("/data/CoLA.zip", {.body = archive_});
    url_ = server_.address() + "/data/CoLA.zip";
    source_ = {.tasks = {"glue/cola"},
               .files = {{.name = "CoLA.zip",
                          .url = url_,
                          .bytes = archive_.size(),
                          .sha256 = digest_.sha256,
                          .folder = "CoLA"}},
               .licence = "none",
               .place = "CoLA"};
  }

  [[nodiscard]] std::filesystem::path out() const { return folder_.path() / "downloads"; }
  [[nodiscard]] DownloadRequest request() const { return {.task = "glue/cola", .out = out()}; }
  DownloadReport fetch() { return download_source(source_, request()); }
  // The files in the folder of downloads.
  [[nodiscard]] std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(out())) {
      found.insert(entry.path().filename().string());
    }
    return found;
  }

  TemporaryFolder folder_;
  HttpServer server_;
  std::string archive_;
  FileDigest digest_;
  std::string url_;
  PublishedSource source_;
};

TEST_F(DownloadTest, FetchesChecksAndUnpacks) {
  const DownloadReport report = fetch();
  EXPECT_EQ(read_text(out() / "CoLA" / "dev.tsv"), "y");
  EXPECT_THAT(names(), ElementsAre("CoLA", "CoLA.zip", kChecksumsFile));
  EXPECT_EQ(read_text(out() / kChecksumsFile), digest_.sha256 + "  CoLA.zip\n");
  ASSERT_EQ(report.files.size(), 1U);
  EXPECT_EQ(report.files[0].sha256, digest_.sha256);
  EXPECT_EQ(report.files[0].checksum, ChecksumSource::kPublished);
  EXPECT_FALSE(report.files[0].was_there);
  EXPECT_EQ(report.place, out() / "CoLA");
  EXPECT_EQ(report.next_command,
            "sbm data build --task glue/cola --source " + (out() / "CoLA").string() + " --vocab " +
                (out() / "bert-uncased-vocab.txt").string() + " --out datasets/glue-cola");
}

TEST_F(DownloadTest, WhatIsThereIsNotFetchedAgain) {
  fetch();
  EXPECT_TRUE(fetch().files[0].was_there);
  EXPECT_EQ(server_.requests().size(), 1U);
  std::filesystem::remove_all(out() / "CoLA");
  fetch();
  EXPECT_TRUE(std::filesystem::exists(out() / "CoLA" / "dev.tsv"));
  EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(DownloadTest, GoesOnWithWhatAnEarlierRunLeft) {
  server_.serve("/data/CoLA.zip", {.body = archive_, .break_off_after = 50, .breaks = 100});
  EXPECT_THROW(fetch(), DataError);
  EXPECT_THAT(names(), AllOf(Contains("CoLA.zip.part"), testing::Not(Contains("CoLA.zip"))));
  server_.serve("/data/CoLA.zip", {.body = archive_});
  fetch();
  EXPECT_THAT(server_.requests().back(), HasSubstr("bytes="));
  EXPECT_THAT(names(), ElementsAre("CoLA", "CoLA.zip", kChecksumsFile));
}

TEST_F(DownloadTest, AnotherFileThanThePublishedOneIsRefused) {
  std::string other = archive_;
  other[other.size() / 2] = static_cast<char>(other[other.size() / 2] ^ 1);
  server_.serve("/data/CoLA.zip", {.body = other});
  const auto mismatch = ThrowsMessage<DataError>(
      AllOf(HasSubstr("expected the published SHA-256 " + digest_.sha256), HasSubstr("found ")));
  EXPECT_THAT([&] { fetch(); }, mismatch);
  EXPECT_THAT(names(), IsEmpty());  // nothing that the next call would continue
  source_.files[0].sha256 = {};
  source_.files[0].md5 = "00";
  EXPECT_THAT([&] { fetch(); }, ThrowsMessage<DataError>(HasSubstr("the published MD5 00")));
}

TEST_F(DownloadTest, AFileThatLiesThereIsCheckedLikeAFetchedOne) {
  std::filesystem::create_directories(out());
  write_text(out() / "CoLA.zip", archive_);
  EXPECT_TRUE(fetch().files[0].was_there);
  EXPECT_THAT(server_.requests(), IsEmpty());
  std::filesystem::remove_all(out());
  std::filesystem::create_directories(out());
  write_text(out() / "CoLA.zip", "something else");
  EXPECT_THAT([&] { fetch(); }, ThrowsMessage<DataError>(AllOf(
                                    HasSubstr(fmt::format("expected {} bytes", archive_.size())),
                                    HasSubstr("found 14 bytes"))));
  EXPECT_EQ(read_text(out() / "CoLA.zip"), "something else");  // a user's file is left alone
}

TEST_F(DownloadTest, WithoutAPublishedChecksumTheFirstDownloadDecides) {
  source_.files[0].sha256 = {};
  source_.files[0].bytes = 0;
  EXPECT_EQ(fetch().files[0].checksum, ChecksumSource::kFirst);
  EXPECT_EQ(fetch().files[0].checksum, ChecksumSource::kRecorded);
  std::filesystem::remove(out() / "CoLA.zip");
  EXPECT_EQ(fetch().files[0].checksum, ChecksumSource::kRecorded);
  std::filesystem::remove(out() / "CoLA.zip");
  server_.serve("/data/CoLA.zip", {.body = archive_ + "x", .tag = "\"v2\""});
  const std::string kept = (out() / "CoLA.zip.other").string();
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT([&] { fetch(); }, ThrowsMessage<DataError>(AllOf(HasSubstr(digest_.sha256),
                                                                 HasSubstr("earlier download"),
                                                                 HasSubstr("kept as " + kept))));
  }
  EXPECT_EQ(read_text(kept), archive_ + "x");
  const std::size_t asked = server_.requests().size();
  std::filesystem::remove(out() / kChecksumsFile);  // what the message says
  EXPECT_EQ(fetch().files[0].checksum, ChecksumSource::kFirst);
  EXPECT_EQ(server_.requests().size(), asked);  // gigabytes are not fetched twice
  EXPECT_EQ(read_text(out() / "CoLA.zip"), archive_ + "x");
  EXPECT_FALSE(std::filesystem::exists(kept));
}

TEST_F(DownloadTest, AFirstDownloadThatDoesNotUnpackDecidesNothing) {
  source_.files[0].sha256 = {};
  source_.files[0].bytes = 0;
  server_.serve("/data/CoLA.zip", {.body = "Not an archive", .tag = "\"error page\""});
  EXPECT_THROW(fetch(), DataError);
  std::filesystem::remove(out() / "CoLA.zip");
  server_.serve("/data/CoLA.zip", {.body = archive_});
  EXPECT_EQ(fetch().files[0].checksum, ChecksumSource::kFirst);
}

TEST_F(DownloadTest, WithoutInternetItSaysWhatToPutWhere) {
  source_.files[0].url = "http://127.0.0.1:1/data/CoLA.zip";
  EXPECT_THAT(
      [&] { fetch(); },
      ThrowsMessage<DataError>(AllOf(
          HasSubstr("cannot fetch http://127.0.0.1:1/data/CoLA.zip: "),
          HasSubstr(fmt::format("({} bytes, SHA-256 {})", archive_.size(), digest_.sha256)),
          HasSubstr("put it here as " + (out() / "CoLA.zip").string()),
          HasSubstr("sbm data build --task glue/cola --source " + (out() / "CoLA").string()))));
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(DownloadTest, AMirrorHasTheSameNames) {
  source_.files[0].url = "http://127.0.0.1:1/elsewhere/CoLA.zip";
  DownloadRequest mirrored = request();
  for (const char* slash : {"", "/"}) {
    mirrored.base_url = server_.address() + "/data" + slash;
    EXPECT_EQ(download_source(source_, mirrored).files[0].url, url_);
    std::filesystem::remove_all(out());
  }
}

TEST_F(DownloadTest, DamagedChecksumsAreRefused) {
  std::filesystem::create_directories(out());
  for (const char* text : {"hello\n", "00  CoLA.zip\n", "\n"}) {
    write_text(out() / kChecksumsFile, text);
    EXPECT_THAT([&] { fetch(); }, ThrowsMessage<DataError>(HasSubstr("SHA256SUMS:1: expected")));
  }
}

TEST_F(DownloadTest, TellsHowFarItIs) {
  std::set<std::string> told;
  download_source(source_, request(), [&](const DownloadProgress& progress) {
    told.insert(progress.what);
    EXPECT_LE(progress.bytes, progress.total == 0 ? archive_.size() : progress.total);
  });
  EXPECT_THAT(told, ElementsAre("checking CoLA.zip", "fetching CoLA.zip", "unpacking CoLA.zip"));
}

// The release of the Long Range Arena has one archive for all its tasks.
TEST_F(DownloadTest, TasksShareAnArchive) {
  write_archive(folder_.path() / "lra.gz", ArchiveKind::kTarGz,
                {{.name = "lra_release/listops-1000/basic_train.tsv", .body = "l"},
                 {.name = "lra_release/tsv_data/new_aan_pairs.train.tsv", .body = "r"}});
  server_.serve("/lra_release.gz", {.body = read_text(folder_.path() / "lra.gz")});
  DownloadRequest mirrored{.task = "lra/listops", .out = out(), .base_url = server_.address()};
  EXPECT_EQ(download(mirrored).place, out() / "listops-1000");
  mirrored.task = "lra/retrieval";
  const DownloadReport report = download(mirrored);
  EXPECT_TRUE(report.files[0].was_there);
  EXPECT_EQ(read_text(report.place / "new_aan_pairs.train.tsv"), "r");
  EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(DownloadTest, RealFilesOfMrpcHaveThePublishedChecksums) {
  const std::filesystem::path real = shared_data() / "glue" / "MRPC";
  if (!std::filesystem::exists(real)) GTEST_SKIP() << "no folder " << real;
  for (const char* name : {"msr_paraphrase_train.txt", "msr_paraphrase_test.txt"}) {
    server_.serve(std::string("/") + name, {.body = read_text(real / name)});
  }
  server_.serve("/mrpc_dev_ids.tsv", {.body = read_text(real / "dev_ids.tsv")});
  const DownloadReport report =
      download({.task = "glue/mrpc", .out = out(), .base_url = server_.address()});
  for (const DownloadedFile& file : report.files) {
    EXPECT_EQ(file.checksum, ChecksumSource::kPublished);
  }
  EXPECT_EQ(read_text(out() / "MRPC" / "dev.tsv"), read_text(real / "dev.tsv"));
}

TEST(PublishedFiles, EveryTaskIsGeneratedOrHasThem) {
  for (const std::string& task : buildable_tasks()) {
    if (task == "synthetic/repeated-tokens") {
      EXPECT_THAT([&] { licence_note(task); },
                  ThrowsMessage<ConfigError>(HasSubstr("always generated")));
      continue;
    }
    EXPECT_FALSE(licence_note(task).empty()) << task;
  }
  EXPECT_THAT([] { licence_note("glue/colla"); },
              ThrowsMessage<ConfigError>(HasSubstr("\"glue/cola\"")));
}

TEST(PublishedFiles, TheTableIsWellFormed) {
  for (const PublishedSource& source : published_sources()) {
    for (const PublishedFile& file : source.files) {
      EXPECT_TRUE(file.url.starts_with("https://")) << file.url;
      EXPECT_TRUE(file.sha256.empty() || file.sha256.size() == 64) << file.name;
      EXPECT_TRUE(file.md5.empty() || file.md5.size() == 32) << file.name;
      EXPECT_EQ(
          (std::string(file.sha256) + std::string(file.md5)).find_first_not_of("0123456789abcdef"),
          std::string::npos);
      const std::filesystem::path name(file.name);
      EXPECT_TRUE(name.is_relative() && name == name.lexically_normal()) << name;
    }
  }
}

TEST(FileDigestTest, EqualsKnownValues) {
  const TemporaryFolder folder;
  write_text(folder.path() / "abc", "abc");
  const FileDigest digest = digest_file(folder.path() / "abc", true);
  EXPECT_EQ(digest.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest.md5, "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_THROW(digest_file(folder.path() / "none", false), DataError);
}

}  // namespace
}  // namespace sbm::data
