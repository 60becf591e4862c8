#include "data/tokenize_lines.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <sstream>
#include <string>
#include <thread>

#include "base/error.h"
#include "tests/data/temporary_folder.h"
#include "tests/data/tiny_vocabulary.h"

namespace sbm::data {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const WordPieceTokenizer& tokenizer() {
  static const WordPieceTokenizer instance(tiny_vocabulary());
  return instance;
}

class TokenizeLinesTest : public ::testing::Test {
 protected:
  void SetUp() override { path_ = folder_.path() / "text"; }

  std::string answer_file() {
    const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    std::ostringstream out;
    try {
      tokenize_lines(descriptor, "text", tokenizer(), out);
    } catch (...) {
      ::close(descriptor);
      throw;
    }
    ::close(descriptor);
    return out.str();
  }

  std::string answer(const std::string& text) {
    write_text(path_, text);
    return answer_file();
  }

  TemporaryFolder folder_;
  std::filesystem::path path_;
};

TEST_F(TokenizeLinesTest, WritesOneArrayALine) {
  EXPECT_EQ(answer(""), "");
  EXPECT_EQ(answer("\n"), "[]\n");
  EXPECT_EQ(answer("the cat\n\nunaffable.\r\n"), "[10,12]\n[]\n[5,6,7,18]\n");
  EXPECT_EQ(answer("the\nlast"), "[10]\n[1]\n");
  EXPECT_EQ(answer("the\xe2\x80\xa8"
                   "cat\xc2\x85\n"),
            "[10,12]\n")
      << "only LF ends a line";
}

TEST_F(TokenizeLinesTest, ReadsLinesLongerThanItsBuffer) {
  std::string text;
  std::string expected;
  for (int i = 0; i < 3; ++i) {
    expected += "[";
    for (int word = 0; word < 200000; ++word) {
      text += "the ";
      expected += word == 0 ? "10" : ",10";
    }
    text += "\n";
    expected += "]\n";
  }
  EXPECT_EQ(answer(text), expected);
}

TEST_F(TokenizeLinesTest, RefusesAnEndlessLine) {
  write_text(path_, "the\n");
  std::filesystem::resize_file(path_, std::uintmax_t{1} << 40);
  EXPECT_THAT([&] { answer_file(); },
              ThrowsMessage<DataError>(HasSubstr("text:2: expected a line of fewer than")));
}

TEST_F(TokenizeLinesTest, SaysThatItCannotReadOrWrite) {
  std::ostringstream out;
  EXPECT_THAT([&] { tokenize_lines(-1, "text", tokenizer(), out); },
              ThrowsMessage<DataError>(HasSubstr("text: cannot read")));
  write_text(path_, "the\n");
  const int descriptor = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  out.setstate(std::ios::badbit);
  EXPECT_THROW(tokenize_lines(descriptor, "text", tokenizer(), out), Error);
  ::close(descriptor);
}

// A stream that tells when it was flushed.
class Watched : public std::stringbuf {
 public:
  explicit Watched(int tell) : tell_(tell) {}
  int sync() override {
    const char mark = 'x';
    return ::write(tell_, &mark, 1) == 1 ? 0 : -1;
  }

 private:
  int tell_;
};

TEST_F(TokenizeLinesTest, AnswersBeforeItWaitsForMore) {
  std::array<int, 2> in{};
  std::array<int, 2> flushed{};
  ASSERT_EQ(::pipe(in.data()), 0);
  ASSERT_EQ(::pipe(flushed.data()), 0);
  Watched buffer(flushed[1]);
  std::ostream out(&buffer);
  std::thread worker([&] { tokenize_lines(in[0], "pipe", tokenizer(), out); });
  for (int i = 0; i < 3; ++i) {
    const std::string line = "the\n";
    EXPECT_EQ(::write(in[1], line.data(), line.size()), 4);
    char mark = 0;
    EXPECT_EQ(::read(flushed[0], &mark, 1), 1);  // would wait for ever without an answer
  }
  ::close(in[1]);
  worker.join();
  EXPECT_EQ(buffer.str(), "[10]\n[10]\n[10]\n");
  for (const int descriptor : {in[0], flushed[0], flushed[1]}) ::close(descriptor);
}

}  // namespace
}  // namespace sbm::data
