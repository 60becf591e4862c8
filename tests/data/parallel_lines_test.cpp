#include "data/parallel_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "data/random_words.h"
#include "tests/data/temporary_folder.h"

namespace sbm::data {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class ParallelLinesTest : public ::testing::Test {
 protected:
  using Lines = std::vector<std::pair<std::uint64_t, std::string>>;

  Lines read(const std::string& text, const LineWork& work) {
    write_text(path_, text);
    const MappedFile file(path_);
    Lines lines;
    for_each_line<std::string>(
        file, work,
        [](std::string_view line, bool first) {
          return (first ? "first:" : "") + std::string(line);
        },
        [&lines](std::uint64_t number, std::string& row) { lines.emplace_back(number, row); });
    EXPECT_EQ(lines.size(), count_lines(file));
    return lines;
  }

  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "lines.txt";
};

TEST_F(ParallelLinesTest, ReadsLines) {
  EXPECT_EQ(read("", {}), Lines{});
  EXPECT_EQ(read("\n", {}), (Lines{{1, "first:"}}));
  EXPECT_EQ(read("a", {}), (Lines{{1, "first:a"}}));
  EXPECT_EQ(read("\xef\xbb\xbf"
                 "a\r\n\nb\xe2\x80\xa8"
                 "c\n",
                 {}),
            (Lines{{1, "first:a"},
                   {2, ""},
                   {3,
                    "b\xe2\x80\xa8"
                    "c"}}));
}

TEST_F(ParallelLinesTest, GivesTheSameWhateverTheBlocksAndThreads) {
  RandomWords random(17);
  for (int trial = 0; trial < 20; ++trial) {
    std::string text;
    Lines expected;
    const std::uint32_t count = random.below(60);
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string line(random.below(9), static_cast<char>('a' + i % 26));
      expected.emplace_back(i + 1, (i == 0 ? "first:" : "") + line);
      text += line + "\n";
    }
    // A block of more lines than are made ahead.
    if (trial == 19) {
      for (std::size_t i = 0; i < 2 * kMaxBlockRows; ++i) {
        expected.emplace_back(expected.size() + 1, expected.empty() ? "first:x" : "x");
        text += "x\n";
      }
    }
    for (const std::size_t block : {1, 2, 3, 7, 64, 1000}) {
      for (const int threads : {1, 3}) {
        ASSERT_EQ(read(text, {.threads = threads, .block_bytes = block}), expected)
            << "blocks of " << block << " bytes, " << threads << " threads";
      }
    }
  }
}

TEST_F(ParallelLinesTest, RefusesLongLines) {
  const std::string long_line(kMaxLineBytes, 'x');
  for (const std::size_t block : {std::size_t{1} << 16, std::size_t{1} << 22}) {
    const LineWork work{.threads = 2, .block_bytes = block};
    EXPECT_EQ(read("a\n" + long_line + "\nb\n", work).size(), 3U);
    for (const char* end : {"\nb\n", "", "\n"}) {
      EXPECT_THAT([&] { read("a\nb\n" + long_line + "x" + end, work); },
                  ThrowsMessage<DataError>(HasSubstr("lines.txt:3: expected a line of at most")));
    }
  }
}

// Counts how many of its kind there are.
struct CountedRow {
  CountedRow() { count(1); }
  CountedRow(const CountedRow&) { count(1); }
  CountedRow& operator=(const CountedRow&) = default;
  ~CountedRow() { count(-1); }

  static void count(int change) {
    const int now = alive += change;
    int seen = most;
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
  }
  static inline std::atomic<int> alive = 0;
  static inline std::atomic<int> most = 0;
};

TEST_F(ParallelLinesTest, HoldsFewRowsHoweverShortTheLines) {
  constexpr int kThreads = 2;
  const std::string text(std::size_t{3} << 20, '\n');
  write_text(path_, text);
  const MappedFile file(path_);
  std::uint64_t lines = 0;
  for_each_line<CountedRow>(
      file, {.threads = kThreads}, [](std::string_view, bool) { return CountedRow(); },
      [&](std::uint64_t, CountedRow&) { ++lines; });
  EXPECT_EQ(lines, text.size());
  EXPECT_EQ(CountedRow::alive, 0);
  // Four blocks a thread, and one in work that may be growing.
  EXPECT_LE(CountedRow::most, (4 + 2) * kThreads * static_cast<int>(kMaxBlockRows));
}

// A line of 64 GiB (in a sparse file) is refused after a look at its first megabytes.
// ThreadSanitizer leaves no room to map much more.
TEST_F(ParallelLinesTest, RefusesAnEndlessLineUnread) {
  write_text(path_, "a\n");
  std::filesystem::resize_file(path_, std::uintmax_t{1} << 36);
  const MappedFile file(path_);
  EXPECT_THROW(for_each_line<int>(
                   file, {.threads = 2}, [](std::string_view, bool) { return 0; },
                   [](std::uint64_t, int&) {}),
               DataError);
}

TEST_F(ParallelLinesTest, PassesErrorsOn) {
  const auto fail = [&](bool in_parse) {
    write_text(path_, "a\nb\nc\n");
    const MappedFile file(path_);
    for_each_line<int>(
        file, {.threads = 2, .block_bytes = 1},
        [&](std::string_view line, bool) {
          if (in_parse && line == "b") throw DataError("b");
          return 0;
        },
        [&](std::uint64_t number, int&) {
          if (!in_parse && number == 2) throw DataError("b");
        });
  };
  EXPECT_THROW(fail(true), DataError);
  EXPECT_THROW(fail(false), DataError);
}

}  // namespace
}  // namespace sbm::data
