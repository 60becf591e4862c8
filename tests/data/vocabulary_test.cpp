#include "data/vocabulary.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/content_hash.h"
#include "base/error.h"
#include "tests/data/temporary_folder.h"
#include "tests/data/tiny_vocabulary.h"

namespace sbm::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const std::string kSpecial = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";

Vocabulary parse(const std::string& text) { return Vocabulary::parse(text, "vocab.txt"); }

TEST(Vocabulary, NumbersItsLines) {
  for (const std::string& text : {kSpecial + "the\n##s\n", kSpecial + "the\n##s",
                                  std::string("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\n"
                                              "the\r\n##s\r\n")}) {
    const Vocabulary vocabulary = parse(text);
    EXPECT_EQ(vocabulary.size(), 7U);
    EXPECT_EQ(vocabulary.piece(5), "the");
    EXPECT_EQ(vocabulary.piece(6), "##s");
    EXPECT_EQ(vocabulary.unknown(), 1);
    EXPECT_EQ(vocabulary.cls(), 2);
    EXPECT_EQ(vocabulary.sep(), 3);
    EXPECT_EQ(vocabulary.mask(), 4);
    EXPECT_EQ(vocabulary.source().xxh3_128, content_hash(text).hex());
    EXPECT_EQ(vocabulary.source().bytes, text.size());
  }
}

TEST(Vocabulary, ReadsAFile) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "vocab.txt";
  write_text(path, tiny_vocabulary_text());
  const Vocabulary vocabulary = Vocabulary::read(path);
  EXPECT_EQ(vocabulary.pieces(), tiny_vocabulary().pieces());
  EXPECT_EQ(vocabulary.source().name, "vocabulary");
  EXPECT_THROW(Vocabulary::read(folder.path() / "missing.txt"), DataError);
  EXPECT_THROW(Vocabulary::read(folder.path()), DataError);
}

void expect_refused(const std::string& text, const std::string& place, const std::string& reason) {
  EXPECT_THAT([&] { parse(text); },
              ThrowsMessage<DataError>(AllOf(HasSubstr(place), HasSubstr(reason))));
}

TEST(Vocabulary, RefusesWhatIsNoVocabulary) {
  expect_refused("", "vocab.txt", "[PAD]");
  expect_refused("the\n" + kSpecial, "vocab.txt:1:", "found \"the\"");
  expect_refused("\xef\xbb\xbf" + kSpecial, "vocab.txt:1:", "[PAD]");
  expect_refused(kSpecial + "\nthe\n", "vocab.txt:6:", "empty line");
  expect_refused(kSpecial + "the\n\n", "vocab.txt:7:", "empty line");
  expect_refused(kSpecial + "the\ncat\nthe\n", "vocab.txt:8:", "\"the\" also in line 6");
  expect_refused(kSpecial + "caf\xe9\n", "vocab.txt:6:", "0xe9 at column 4");
  expect_refused(kSpecial + "\xed\xa0\x80\n", "vocab.txt:6:", "UTF-8");
  for (const char* piece : {"[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    std::string text = kSpecial;
    text.erase(text.find(piece), std::string(piece).size() + 1);
    expect_refused(text, "vocab.txt", piece);
  }
}

TEST(Vocabulary, RefusesWhatIsTooLarge) {
  std::string text = kSpecial;
  for (int i = 5; i < 65536; ++i) text += fmt::format("w{}\n", i);
  EXPECT_EQ(parse(text).size(), 65536U);
  expect_refused(text + "more\n", "vocab.txt:65537:", "at most 65536");
  expect_refused(kSpecial + std::string(kMaxVocabularyBytes, 'x'), "vocab.txt", "at most 4194304");
  // A sparse file of a terabyte is refused by its size, unread.
  const TemporaryFolder folder;
  write_text(folder.path() / "huge.txt", kSpecial);
  std::filesystem::resize_file(folder.path() / "huge.txt", std::uintmax_t{1} << 40);
  EXPECT_THROW(Vocabulary::read(folder.path() / "huge.txt"), DataError);
}

// Whatever one byte becomes, the result is an error or a vocabulary, never anything else.
TEST(Vocabulary, SurvivesDamage) {
  const std::string text = tiny_vocabulary_text();
  int refused = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
      std::string damaged = text;
      damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ flip);
      try {
        EXPECT_GE(parse(damaged).size(), 5U);
      } catch (const DataError&) {
        ++refused;
      }
    }
    try {
      parse(text.substr(0, at));
      EXPECT_GE(at, kSpecial.size() - 1);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace sbm::data
