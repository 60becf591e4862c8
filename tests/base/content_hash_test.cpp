#include "base/content_hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

namespace sbm {
namespace {

// The value that xxHash documents for the empty input.
TEST(ContentHash, IsXxh3InLowerCaseDigits) {
  EXPECT_EQ(content_hash(std::string_view()).hex(), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ((ContentHash{.high = 1, .low = 0xABC}).hex(), "00000000000000010000000000000abc");
}

TEST(ContentHash, PiecesHashLikeTheWhole) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>(i * 31);
  const auto bytes = std::as_bytes(std::span(text));
  ContentHasher hasher;
  hasher.update(bytes);
  hasher.reset();
  for (std::size_t at = 0; at < bytes.size(); at += 777) {
    hasher.update(bytes.subspan(at, std::min<std::size_t>(777, bytes.size() - at)));
  }
  EXPECT_EQ(hasher.digest(), content_hash(text));
  EXPECT_NE(hasher.digest(), content_hash(std::string_view(text).substr(1)));
}

}  // namespace
}  // namespace sbm
