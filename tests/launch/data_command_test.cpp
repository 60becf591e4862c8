// `sbm data build` and `inspect`: options, answers, and what a terminal shows.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/launch/process.h"
#include "tests/temporary_folder.h"

namespace sbm::launch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class DataCommand : public testing::Test {
 protected:
  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_.path() / name).string();
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
  }
  static Outcome data(std::vector<std::string> words) {
    words.insert(words.begin(), {SBM_PROGRAM, "data"});
    return run(words);
  }

  TemporaryFolder folder_;
};

TEST_F(DataCommand, OptionsThatATaskDoesNotTakeAreRefused) {
  const std::string out = "--out=" + path("out");
  const Outcome generated = data({"build", "--task=lra/listops", out, "--vocab=v", "--cased",
                                  "--max-length=3", "--skip-bad-rows=2"});
  EXPECT_EQ(generated.code, 2);
  EXPECT_THAT(generated.err,
              HasSubstr("task \"lra/listops\", generated: expected of its options --threads; found "
                        "--vocab, --cased, --max-length, --skip-bad-rows"));
  const Outcome text =
      data({"build", "--task=lra/text", out, "--source=" + path("."), "--vocab=v", "--cased"});
  EXPECT_EQ(text.code, 2);
  EXPECT_THAT(text.err, HasSubstr("task \"lra/text\": expected of its options --max-length, "
                                  "--skip-bad-rows, --threads; found --vocab, --cased"));
  const Outcome image =
      data({"build", "--task=lra/image", out, "--source=" + path("."), "--max-length=3"});
  EXPECT_EQ(image.code, 2);
  EXPECT_THAT(image.err, HasSubstr("found --max-length"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

TEST_F(DataCommand, NamesThatAreNoUtf8AreNoInternalError) {
  const std::string folder = path("d\xff");
  const Outcome built = data({"build", "--task=synthetic/repeated-tokens", "--out=" + folder,
                              "--set=data.repeated_tokens.length=16", "--json"});
  ASSERT_EQ(built.code, 0) << built.err;
  for (const char* command : {"inspect", "verify"}) {
    const Outcome outcome = data({command, folder, "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(nlohmann::json::parse(outcome.out)["folder"].get<std::string>(),
                HasSubstr("d\xEF\xBF\xBD"));
  }
}

TEST_F(DataCommand, AnErrorHasALineOfItsOwn) {
  const std::string header = "Source\tTarget\n";
  std::string rows;
  for (int i = 0; i < 100; ++i) rows += "( ( ( [MAX 8 ) 9 ) ] )\t9\n";
  write("basic_train.tsv", header + rows + "bad\n");
  write("basic_val.tsv", header + rows);
  write("basic_test.tsv", header + rows);
  const std::string build = std::string(SBM_PROGRAM) + " data build --task lra/listops --source " +
                            path(".") + " --out " + path("out");
  // script lends a terminal.
  const auto shown = [&build](const std::string& term) {
    return run({"env", "TERM=" + term, "script", "-qec", build, "/dev/null"}).out;
  };
  EXPECT_THAT(shown("xterm"), AllOf(HasSubstr("64 samples"), HasSubstr("\r\x1b[Ksbm: ")));
  EXPECT_THAT(shown("dumb"), AllOf(HasSubstr("sbm: "), Not(HasSubstr("\x1b"))));
}

TEST_F(DataCommand, InspectTellsOfScoresAndKindsOfLabels) {
  const std::string header =
      "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2";
  const std::string rows =
      "0\tg\tf\ty\t1\ts\tt\tthe\tcat\t1.0\n1\tg\tf\ty\t1\ts\tt\tcat\tthe\t4.0\n";
  write("train.tsv", header + "\tscore\n" + rows);
  write("dev.tsv", header + "\tscore\n" + rows);
  write("test.tsv", header + "\n0\tg\tf\ty\t1\ts\tt\tthe\tcat\n");
  write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\n");
  const Outcome built = data({"build", "--task=glue/sts-b", "--source=" + path("."),
                              "--vocab=" + path("vocab.txt"), "--out=" + path("out")});
  ASSERT_EQ(built.code, 0) << built.err;
  const auto answer = nlohmann::json::parse(data({"inspect", path("out"), "--json"}).out);
  EXPECT_EQ(answer["label_kind"], "score");
  EXPECT_EQ(answer["splits"]["train"]["scores"],
            nlohmann::json({{"min", 1.0}, {"mean", 2.5}, {"max", 4.0}}));
  EXPECT_TRUE(answer["splits"]["test"]["scores"].is_null());
}

}  // namespace
}  // namespace sbm::launch
