#include "data/page_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/error.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

// Whether pages leave is the system's choice (a file system in memory keeps all); that a share is
// told and the files stay what they are is not.
TEST(PageCache, ForgettingChangesNoFile) {
  const TemporaryFolder folder;
  const std::string text(1 << 20, 'x');
  std::filesystem::create_directories(folder.path() / "deep");
  write_text(folder.path() / "deep/file", text);
  write_text(folder.path() / "empty", "");
  const double share = forget_cached_pages(folder.path());
  EXPECT_GE(share, 0.0);
  EXPECT_LE(share, 1.0);
  const auto bytes = read_bytes(folder.path() / "deep/file");
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), text);
}

TEST(PageCache, NothingIsNotCached) {
  const TemporaryFolder folder;
  EXPECT_EQ(forget_cached_pages(folder.path()), 0.0);
  EXPECT_THROW(forget_cached_pages(folder.path() / "missing"), DataError);
}

}  // namespace
}  // namespace sbm::data
