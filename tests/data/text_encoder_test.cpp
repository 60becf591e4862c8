#include "data/text_encoder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "tests/data/tiny_vocabulary.h"

namespace sbm::data {
namespace {

using Ids = std::vector<std::uint16_t>;

const WordPieceTokenizer& tokenizer() {
  static const WordPieceTokenizer instance(tiny_vocabulary());
  return instance;
}

std::string times(int count, const std::string& word) {
  std::string text;
  for (int i = 0; i < count; ++i) text += word + " ";
  return text;
}

// The published loop, token by token.
std::pair<int, int> published_truncation(int a, int b, int room) {
  while (a + b > room) {
    if (a > b) {
      --a;
    } else {
      --b;
    }
  }
  return {a, b};
}

TEST(TextEncoder, LaysOutOneText) {
  const TextEncoder encoder(tokenizer(), 6);
  EXPECT_EQ(encoder.single("the cat").tokens, (Ids{2, 10, 12, 3}));
  EXPECT_EQ(encoder.single("the cat").first_length, 0);
  EXPECT_EQ(encoder.single("").tokens, (Ids{2, 3}));
  EXPECT_EQ(encoder.single("the cat sat the cat").tokens, (Ids{2, 10, 12, 13, 10, 3}));
}

TEST(TextEncoder, LaysOutAPair) {
  const TextEncoder encoder(tokenizer(), 32);
  const EncodedText pair = encoder.pair("the cat", "sat");
  EXPECT_EQ(pair.tokens, (Ids{2, 10, 12, 3, 13, 3}));
  EXPECT_EQ(pair.first_length, 4);
  EXPECT_EQ(encoder.pair("", "").tokens, (Ids{2, 3, 3}));
  EXPECT_EQ(encoder.pair("", "").first_length, 2);
}

TEST(TextEncoder, CutsTheLongerText) {
  for (const int max_length : {4, 5, 9, 10}) {
    const TextEncoder encoder(tokenizer(), max_length);
    for (int a = 0; a < 14; ++a) {
      for (int b = 0; b < 14; ++b) {
        const auto [keep_a, keep_b] = published_truncation(a, b, max_length - 3);
        Ids expected = {2};
        expected.insert(expected.end(), static_cast<std::size_t>(keep_a), 12);
        expected.push_back(3);
        expected.insert(expected.end(), static_cast<std::size_t>(keep_b), 13);
        expected.push_back(3);
        const EncodedText pair = encoder.pair(times(a, "cat"), times(b, "sat"));
        ASSERT_EQ(pair.tokens, expected) << a << " and " << b << " in " << max_length;
        ASSERT_EQ(pair.first_length, keep_a + 2);
      }
    }
  }
}

TEST(TextEncoder, NeedsRoomForAToken) {
  for (const int length : {-1, 0, 3}) {
    EXPECT_THROW(TextEncoder(tokenizer(), length), ConfigError);
  }
}

}  // namespace
}  // namespace sbm::data
