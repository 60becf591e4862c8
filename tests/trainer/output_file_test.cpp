#include "trainer/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "tests/temporary_folder.h"

namespace sbm::trainer {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

template <typename Body>
std::string config_error(const Body& body) {
  try {
    body();
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "expected a ConfigError";
  return {};
}

TEST(OutputFile, ReplacesAsAWholeAndLeavesNothingBeside) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "answer";
  replace_file(path, "first, and longer");
  replace_file(path, "second");
  EXPECT_EQ(text_of(path), "second");
  {
    OutputFile dropped(path);
    dropped.write("half of the thi");
  }
  EXPECT_EQ(text_of(path), "second");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(OutputFile, NamesPathAndReason) {
  const TemporaryFolder folder;
  EXPECT_THAT(config_error([&] { replace_file(folder.path() / "none" / "file", "text"); }),
              AllOf(HasSubstr("none/file"), HasSubstr("No such file or directory")));
  std::filesystem::create_directories(folder.path() / "taken" / "full");
  EXPECT_THAT(config_error([&] { replace_file(folder.path() / "taken", "text"); }),
              AllOf(HasSubstr("taken"), HasSubstr("Is a directory")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(AppendedFile, GrowsAndTellsAFullDisk) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "lines";
  AppendedFile(path).append("one\n");
  AppendedFile again(path);
  again.append("two\n");
  EXPECT_EQ(text_of(path), "one\ntwo\n");  // although the file is still open
  EXPECT_THAT(config_error([] { AppendedFile("/dev/full").append("text"); }),
              AllOf(HasSubstr("/dev/full: cannot write"), HasSubstr("No space left")));
}

}  // namespace
}  // namespace sbm::trainer
