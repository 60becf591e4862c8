#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/wordpiece.h"
#include "tests/data/tiny_vocabulary.h"
#include "tests/fuzz/target.h"

// WordPiece. First byte: bit 0 an uncased vocabulary, bit 1 words of at most 5 characters, bit 2
// the rest is not a text but a vocabulary.
namespace sbm::fuzz {
namespace {

using Ids = std::vector<std::uint16_t>;

const std::string& known_text() {
  static const std::string text = "The unaffable caf\xc3\xa9, [SEP] \xe4\xbd\xa0 x!";
  return text;
}

void check_text(const data::WordPieceTokenizer& tokenizer, std::string_view text) {
  const Ids ids = tokenizer.ids(text);
  for (const std::uint16_t id : ids) {
    require(id < tokenizer.vocabulary().size(), "ids are of the vocabulary");
  }
  // Nothing reaches across a line.
  const std::string twice = std::string(text) + "\n" + std::string(text);
  Ids expected = ids;
  expected.insert(expected.end(), ids.begin(), ids.end());
  require(tokenizer.ids(twice) == expected, "a line has the ids that it has alone");
}

}  // namespace
}  // namespace sbm::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sbm::fuzz;
  Input input(data, size);
  const std::uint8_t mode = input.byte();
  const std::string_view text(reinterpret_cast<const char*>(input.rest().data()),
                              input.rest().size());
  const sbm::data::WordPieceOptions options{.lower_case = (mode & 1) != 0,
                                            .max_word_length = (mode & 2) != 0 ? 5 : 200};
  if ((mode & 4) == 0) {
    static const sbm::data::WordPieceTokenizer kTokenizers[4] = {
        sbm::data::WordPieceTokenizer(sbm::data::tiny_vocabulary(), {false, 200}),
        sbm::data::WordPieceTokenizer(sbm::data::tiny_vocabulary(), {true, 200}),
        sbm::data::WordPieceTokenizer(sbm::data::tiny_vocabulary(), {false, 5}),
        sbm::data::WordPieceTokenizer(sbm::data::tiny_vocabulary(), {true, 5})};
    check_text(kTokenizers[mode & 3], text);
    return 0;
  }
  try {
    const sbm::data::WordPieceTokenizer tokenizer(sbm::data::Vocabulary::parse(text, "input"),
                                                  options);
    check_text(tokenizer, known_text());
  } catch (const sbm::DataError&) {
  }
  return 0;
}
