#include "data/wordpiece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "data/random_words.h"
#include "tests/data/shared_data.h"
#include "tests/data/tiny_vocabulary.h"

namespace sbm::data {
namespace {

using Ids = std::vector<std::uint16_t>;

constexpr std::uint16_t kUnknown = 1;

const WordPieceTokenizer& uncased() {
  static const WordPieceTokenizer tokenizer(tiny_vocabulary());
  return tokenizer;
}

TEST(WordPiece, MatchesTheLongestPieceGreedily) {
  EXPECT_EQ(uncased().ids("unaffable"), (Ids{5, 6, 7}));
  EXPECT_EQ(uncased().ids("una"), (Ids{5, 8}));
  // Nothing fits the "le" after "##aff", and greed never goes back to "##a".
  EXPECT_EQ(uncased().ids("unaffle the"), (Ids{kUnknown, 10}));
  EXPECT_EQ(uncased().ids("able"), (Ids{kUnknown}));
  EXPECT_EQ(uncased().ids(""), Ids{});
  EXPECT_EQ(uncased().ids(" \t\r\n"), Ids{});
}

TEST(WordPiece, SplitsPunctuationAndSpecialPieces) {
  EXPECT_EQ(uncased().ids("the cat,sat."), (Ids{10, 12, 19, 13, 18}));
  EXPECT_EQ(uncased().ids("[SEP][mask]"), (Ids{16, 25, 17, 16, 26, 17}));
  EXPECT_EQ(uncased().ids("'the!"), (Ids{27, 10, kUnknown}));
  EXPECT_EQ(uncased().ids("\xe2\x80\x9c"
                          "the\xe2\x80\x9c"),
            (Ids{28, 10, 28}));
  EXPECT_EQ(uncased().ids("a##b"), (Ids{31, kUnknown, kUnknown, 32}));
}

TEST(WordPiece, LowersAndDropsAccents) {
  EXPECT_EQ(uncased().ids("Caf\xc3\xa9 THE"), (Ids{11, 10}));
  EXPECT_EQ(uncased().ids("Cafe\xcc\x81"), (Ids{11}));
  EXPECT_EQ(uncased().ids("\xce\x9f\xce\x94\xce\x9f\xce\xa3"), (Ids{21}));  // the final sigma
  // U+226E is "<" and a mark once it is taken apart.
  EXPECT_EQ(uncased().ids("a\xe2\x89\xae"
                          "b"),
            (Ids{31, 24, 32}));
}

TEST(WordPiece, KeepsCaseAndAccentsWhenCased) {
  const WordPieceTokenizer cased(tiny_vocabulary(), {.lower_case = false});
  EXPECT_EQ(cased.ids("Caf\xc3\xa9 Cafe cafe THE the"), (Ids{29, 15, 11, kUnknown, 10}));
  EXPECT_EQ(cased.ids("a\xe2\x89\xae"
                      "b"),
            (Ids{kUnknown}));
}

TEST(WordPiece, JoinsWhereCharactersVanish) {
  for (const std::string& gone :
       {std::string(1, '\0'), std::string("\x0b"), std::string("\x7f"), std::string("\xc2\xad"),
        std::string("\xe2\x80\x8b"), std::string("\xef\xbf\xbd"), std::string("\xc2\x85")}) {
    EXPECT_EQ(uncased().ids("c" + gone + "at"), (Ids{12}));
  }
  for (const std::string& bad :
       {std::string("\xff"), std::string("\xc3"), std::string("\xe2\x80"),
        std::string("\xed\xa0\x80"), std::string("\xf4\x90\x80\x80"), std::string("\xc0\xaf")}) {
    EXPECT_EQ(uncased().ids("c" + bad + "at"), (Ids{12})) << "bytes that are no UTF-8";
    EXPECT_EQ(uncased().ids("cat" + bad), (Ids{12}));
  }
}

TEST(WordPiece, SplitsAtEveryWhiteSpace) {
  for (const char* space : {" ", "\t", "\n", "\r", "\xc2\xa0", "\xe2\x80\x83", "\xe3\x80\x80",
                            "\xe2\x80\xa8", "\xe2\x80\xa9"}) {
    EXPECT_EQ(uncased().ids(std::string("the") + space + "cat"), (Ids{10, 12}));
  }
}

TEST(WordPiece, TakesIdeographsOneByOne) {
  EXPECT_EQ(uncased().ids("the\xe4\xbd\xa0\xe4\xbd\xa0"
                          "cat"),
            (Ids{10, 20, 20, 12}));
  // A compatibility ideograph is a word of its own, too, and not in the vocabulary.
  EXPECT_EQ(uncased().ids("cat\xef\xa4\x80"), (Ids{12, kUnknown}));
}

TEST(WordPiece, GivesUpOnLongWords) {
  const WordPieceTokenizer three(tiny_vocabulary(), {.max_word_length = 3});
  EXPECT_EQ(three.ids("xxx xxxx"), (Ids{22, 23, 23, kUnknown}));
  // Characters count, not bytes, and those after decomposition.
  EXPECT_EQ(three.ids("x\xcc\x81xx"), (Ids{22, 23, 23}));
  EXPECT_EQ(uncased().ids(std::string(200, 'x')).size(), 200U);
  EXPECT_EQ(uncased().ids(std::string(201, 'x')), (Ids{kUnknown}));
  EXPECT_EQ(uncased().ids(std::string(201, 'x') + "\xcc\x81"), (Ids{kUnknown}));
  EXPECT_EQ(uncased().ids(std::string(5'000'000, 'x') + ",the"), (Ids{kUnknown, 19, 10}));
  for (const int limit : {0, -1, kMaxWordLength + 1}) {
    EXPECT_THROW(WordPieceTokenizer(tiny_vocabulary(), {.max_word_length = limit}), ConfigError);
  }
}

TEST(WordPiece, AppendsToWhatIsThere) {
  Ids ids = {7};
  uncased().append_ids("the caf\xc3\xa9", ids);
  EXPECT_EQ(ids, (Ids{7, 10, 11}));
}

// A text is the sum of its parts when they are cut at spaces: the two ways through the tokenizer,
// for ASCII and for all else, agree wherever they take turns.
TEST(WordPiece, IsTheSumOfTheWords) {
  const std::vector<std::string> parts = {
      "the", "Cat",          "unaffable", ".",        "caf\xc3\xa9", "\xff", "x",
      "a,b", "\xe4\xbd\xa0", "[SEP]",     "\xc2\xad", "xXx\xcc\x81", "\x01"};
  RandomWords random(41);
  for (int trial = 0; trial < 2000; ++trial) {
    std::string text;
    Ids expected;
    for (std::uint32_t n = random.below(8); n > 0; --n) {
      const std::string& part = parts[random.below(static_cast<std::uint32_t>(parts.size()))];
      text += part + " ";
      uncased().append_ids(part, expected);
    }
    ASSERT_EQ(uncased().ids(text), expected) << text;
  }
}

TEST(WordPiece, SurvivesAnyBytes) {
  RandomWords random(42);
  for (int trial = 0; trial < 3000; ++trial) {
    std::string text;
    for (std::uint32_t n = random.below(40); n > 0; --n) {
      text += static_cast<char>(random.below(4) == 0 ? 'x' : random.below(256));
    }
    for (const std::uint16_t id : uncased().ids(text)) ASSERT_LT(id, 35);
  }
}

TEST(WordPiece, EqualsThePublishedTokenizer) {
  const auto folder = shared_data() / "bert";
  std::ifstream golden(folder / "golden_wordpiece.jsonl");
  if (!golden) GTEST_SKIP() << "no folder " << folder;
  const WordPieceTokenizer tokenizer(Vocabulary::read(folder / "vocab.txt"));
  EXPECT_EQ(tokenizer.vocabulary().size(), 30522U);
  std::string line;
  int texts = 0;
  while (std::getline(golden, line)) {
    const nlohmann::json entry = nlohmann::json::parse(line);
    ASSERT_EQ(tokenizer.ids(entry["text"].get<std::string>()), entry["ids"].get<Ids>()) << line;
    ++texts;
  }
  EXPECT_EQ(texts, 3803);
}

}  // namespace
}  // namespace sbm::data
