#include "trainer/zip_archive.h"

#include <gtest/gtest.h>
#include <zip.h>

#include <cstdlib>
#include <ctime>

#include "base/error.h"

namespace sbm::trainer {
namespace {

std::vector<ZipEntry> read_back(const std::string& bytes) {
  std::vector<ZipEntry> entries;
  zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, nullptr);
  zip_t* archive = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, nullptr);
  EXPECT_NE(archive, nullptr);
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); ++i) {
    zip_stat_t stat;
    EXPECT_EQ(zip_stat_index(archive, static_cast<zip_uint64_t>(i), 0, &stat), 0);
    std::string text(stat.size, '\0');
    zip_file_t* file = zip_fopen_index(archive, static_cast<zip_uint64_t>(i), 0);
    EXPECT_EQ(zip_fread(file, text.data(), text.size()), static_cast<zip_int64_t>(text.size()));
    zip_fclose(file);
    entries.push_back({stat.name, text});
  }
  zip_close(archive);
  return entries;
}

TEST(ZipArchive, HoldsTheFilesInTheirOrder) {
  const std::vector<ZipEntry> entries = {
      {"CoLA.tsv", "index\tprediction\n0\t1\n"}, {"AX.tsv", std::string(100000, 'x')}, {"e", ""}};
  const std::string bytes = zip_archive(entries);
  const std::vector<ZipEntry> found = read_back(bytes);
  ASSERT_EQ(found.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(found[i].name, entries[i].name);
    EXPECT_EQ(found[i].text, entries[i].text);
  }
  EXPECT_THROW(zip_archive({{"a", "1"}, {"a", "2"}}), ConfigError);
}

TEST(ZipArchive, KnowsNoClockAndNoTimeZone) {
  const std::vector<ZipEntry> entries = {{"CoLA.tsv", "index\tprediction\n0\t1\n"}};
  const char* before = std::getenv("TZ");
  const std::string kept = before == nullptr ? "" : before;
  std::string bytes;
  for (const char* zone : {"UTC", "Asia/Kathmandu", "XYZ11"}) {
    ::setenv("TZ", zone, 1);
    ::tzset();
    const std::string again = zip_archive(entries);
    EXPECT_TRUE(bytes.empty() || again == bytes) << zone;
    bytes = again;
  }
  if (before == nullptr) {
    ::unsetenv("TZ");
  } else {
    ::setenv("TZ", kept.c_str(), 1);
  }
  ::tzset();
  ASSERT_GT(bytes.size(), 14U);
  EXPECT_EQ(bytes.substr(0, 4), "PK\x03\x04");
  EXPECT_EQ(bytes.substr(10, 4), std::string("\0\0\x21\0", 4));  // 1 January 1980, midnight
}

}  // namespace
}  // namespace sbm::trainer
