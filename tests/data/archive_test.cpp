#include "data/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/data/archive_fixtures.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::ThrowsMessage;
using ::testing::UnorderedElementsAre;

class Archive : public ::testing::TestWithParam<ArchiveKind> {
 protected:
  [[nodiscard]] std::filesystem::path archive() const { return folder_.path() / "archive"; }
  [[nodiscard]] std::filesystem::path target() const { return folder_.path() / "CoLA"; }
  [[nodiscard]] UnpackRequest request() const {
    return {.archive = archive(), .folder = "CoLA", .target = target()};
  }
  void write(const std::vector<ArchivedEntry>& entries) const {
    write_archive(archive(), GetParam(), entries);
  }
  // Files below the target, by name.
  [[nodiscard]] std::map<std::string, std::string> unpacked() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(target())) {
      if (!entry.is_regular_file()) continue;
      const auto bytes = read_bytes(entry.path());
      files[std::filesystem::relative(entry.path(), target()).string()] = {bytes.begin(),
                                                                           bytes.end()};
    }
    return files;
  }
  // A refused archive leaves neither the folder nor a half of it.
  void refused(const std::vector<ArchivedEntry>& entries, const char* reason) const {
    write(entries);
    EXPECT_THAT([this] { unpack_folder(request()); }, ThrowsMessage<DataError>(HasSubstr(reason)));
    std::size_t left = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      EXPECT_EQ(entry.path(), archive());
      ++left;
    }
    EXPECT_EQ(left, 1U);
  }

  TemporaryFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(Kinds, Archive,
                         ::testing::Values(ArchiveKind::kTar, ArchiveKind::kTarGz,
                                           ArchiveKind::kZip));

TEST_P(Archive, UnpacksOneFolderAtAnyDepth) {
  write({{.name = "top/README", .body = "no"},
         {.name = "top/CoLA", .type = AE_IFDIR},
         {.name = "top/CoLA/train.tsv", .body = "a\tb\n"},
         {.name = "./top/CoLA//deep/./er/dev.tsv", .body = std::string(300000, 'x')},
         {.name = "top/CoLA-other/train.tsv", .body = "no"},
         {.name = "__MACOSX/CoLA/train.tsv", .body = "no"},
         {.name = "top/CoLA/._train.tsv", .body = "no"}});
  std::uint64_t read = 0;
  unpack_folder(request(), [&](std::uint64_t bytes) { read = bytes; });
  EXPECT_THAT(unpacked(), UnorderedElementsAre(Pair("train.tsv", "a\tb\n"),
                                               Pair("deep/er/dev.tsv", std::string(300000, 'x'))));
  EXPECT_GT(read, 0U);
  EXPECT_LE(read, std::filesystem::file_size(archive()));
}

TEST_P(Archive, NamesThatLeadOutAreRefused) {
  refused({{.name = "CoLA/../../evil", .body = "x"}}, "expected names inside the archive");
  refused({{.name = "CoLA/a", .body = "x"}, {.name = "elsewhere/../../evil", .body = "x"}},
          "expected names inside the archive");
  refused({{.name = "CoLA/..", .type = AE_IFDIR}}, "expected names inside the archive");
  refused({{.name = "/CoLA/evil", .body = "x"}}, "expected names inside the archive");
  refused({{.name = "CoLA/" + std::string(2000, 'a'), .body = "x"}},
          "expected names inside the archive");
}

TEST_P(Archive, OnlyFilesAndFoldersAreUnpacked) {
  refused({{.name = "CoLA/link", .type = AE_IFLNK, .link = "/etc"},
           {.name = "CoLA/link/evil", .body = "x"}},
          "expected files and folders");
  if (GetParam() == ArchiveKind::kZip) return;  // has no such things
  refused({{.name = "CoLA/a", .body = "x"}, {.name = "CoLA/b", .type = 0, .link = "CoLA/a"}},
          "expected files and folders");
  refused({{.name = "CoLA/pipe", .type = AE_IFIFO}}, "expected files and folders");
}

TEST_P(Archive, ContradictionsAreRefused) {
  refused({{.name = "CoLA/a", .body = "x"}, {.name = "CoLA/a", .body = "y"}}, "cannot create");
  refused({{.name = "CoLA/a", .body = "x"}, {.name = "CoLA/a/b", .body = "y"}}, "cannot create");
  refused({{.name = "CoLA", .body = "x"}}, "expected files and folders");
  refused({{.name = "SST-2/a", .body = "x"}}, "expected a folder \"CoLA\"");
  refused({{.name = "CoLA", .type = AE_IFDIR}}, "expected a folder \"CoLA\"");
  refused({}, "CoLA");
}

TEST_P(Archive, MoreThanTheLimitIsRefused) {
  write({{.name = "CoLA/a", .body = std::string(600, 'a')},
         {.name = "CoLA/b", .body = std::string(600, 'b')}});
  UnpackRequest small = request();
  small.max_bytes = 1000;
  EXPECT_THAT([&] { unpack_folder(small); },
              ThrowsMessage<DataError>(HasSubstr("expected at most 1000 bytes")));
  EXPECT_FALSE(std::filesystem::exists(target()));
}

TEST_P(Archive, DamageIsRefused) {
  std::string body;
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) body += static_cast<char>('a' + random() % 26);
  write({{.name = "CoLA/a", .body = body}, {.name = "CoLA/b", .body = body}});
  const auto good = read_bytes(archive());
  for (std::size_t length = 1; length < good.size() * 9 / 10; length += good.size() / 23) {
    write_bytes(archive(), std::span(good).first(length));
    EXPECT_THROW(unpack_folder(request()), DataError) << length;
    ASSERT_FALSE(std::filesystem::exists(target())) << length;
  }
  write_text(archive(), "<html>404</html>");
  EXPECT_THROW(unpack_folder(request()), DataError);
  // Of the three, zip alone has a checksum that libarchive looks at.
  if (GetParam() != ArchiveKind::kZip) return;
  auto flipped = good;
  flipped[good.size() / 3] ^= 4;
  write_bytes(archive(), flipped);
  EXPECT_THROW(unpack_folder(request()), DataError);
}

TEST_P(Archive, WhatIsThereStays) {
  write({{.name = "CoLA/a", .body = "x"}});
  std::filesystem::create_directories(target());
  write_text(target() / "mine", "mine");
  EXPECT_THROW(unpack_folder(request()), DataError);
  EXPECT_THAT(unpacked(), UnorderedElementsAre(Pair("mine", "mine")));
}

}  // namespace
}  // namespace sbm::data
