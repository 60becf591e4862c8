// `sbm data tokenize` in a pipe and on files.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/launch/process.h"
#include "tests/temporary_folder.h"

namespace sbm::launch {
namespace {

using testing::HasSubstr;

class TokenizeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(vocabulary_) << "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\nCat\n##s\n";
    std::ofstream(text_) << "The cats\n\nCat";
  }

  Outcome tokenize(std::vector<std::string> words) const {
    words.insert(words.begin(), {SBM_PROGRAM, "data", "tokenize"});
    return run(words);
  }

  TemporaryFolder folder_;
  std::string vocabulary_ = (folder_.path() / "vocab.txt").string();
  std::string text_ = (folder_.path() / "text.txt").string();
};

TEST_F(TokenizeTest, WritesOneArrayALine) {
  const Outcome uncased = tokenize({"--vocab=" + vocabulary_, text_});
  EXPECT_EQ(uncased.code, 0) << uncased.err;
  EXPECT_EQ(uncased.out, "[5,6,8]\n[]\n[6]\n");
  EXPECT_EQ(uncased.err, "");
  EXPECT_EQ(tokenize({"--vocab", vocabulary_, "--cased", text_}).out, "[1,6,8]\n[]\n[7]\n");
  EXPECT_EQ(tokenize({"--vocab", vocabulary_, "--max-word-length=3", text_}).out,
            "[5,1]\n[]\n[6]\n");
}

TEST_F(TokenizeTest, ReadsStandardInput) {
  const Outcome outcome = run({"/bin/sh", "-c",
                               "printf 'the\\n' | '" + std::string(SBM_PROGRAM) +
                                   "' data tokenize --vocab '" + vocabulary_ + "'"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "[5]\n");
}

TEST_F(TokenizeTest, IdsThatAreLostAreNoSuccess) {
  const Outcome outcome = run({"/bin/sh", "-c", "exec \"$@\" >/dev/full", "-", SBM_PROGRAM, "data",
                               "tokenize", "--vocab", vocabulary_, text_});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("cannot write the ids: No space left on device"));
}

TEST_F(TokenizeTest, SaysWhatIsWrong) {
  EXPECT_EQ(tokenize({text_}).code, 2);
  EXPECT_EQ(tokenize({"--vocab", vocabulary_, "--max-word-length=0", text_}).code, 2);
  const Outcome missing = tokenize({"--vocab", vocabulary_, text_ + ".missing"});
  EXPECT_EQ(missing.code, 3);
  EXPECT_THAT(missing.err, HasSubstr("missing: cannot open"));
  const Outcome no_vocabulary = tokenize({"--vocab", text_, text_});
  EXPECT_EQ(no_vocabulary.code, 3);
  EXPECT_THAT(no_vocabulary.err, HasSubstr(":1: expected the piece [PAD]"));
  EXPECT_EQ(tokenize({"--vocab", vocabulary_, folder_.path().string()}).code, 3);
}

}  // namespace
}  // namespace sbm::launch
