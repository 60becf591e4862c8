// MNLI, with its two validation and two test sets, and AX, which a model of MNLI answers: from the
// official formats to the files that the benchmark's server takes.

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "tests/launch/text_files.h"
#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

constexpr const char* kWords[] = {"contradiction", "entailment", "neutral"};

// `annotators`: labels of single annotators before the agreed one; -1: a file without labels.
std::string mnli_rows(int rows, int annotators) {
  std::ostringstream text;
  text << "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
          "sentence1_parse\tsentence2_parse\tsentence1\tsentence2";
  for (int i = 1; i <= annotators; ++i) text << "\tlabel" << i;
  text << (annotators < 0 ? "\n" : "\tgold_label\n");
  for (int row = 0; row < rows; ++row) {
    text << row << "\t1\t1n\tfiction\t( a )\t( b )\t(S a)\t(S b)\t" << sentence(row, 2 + row % 5)
         << "\t" << sentence(3 * row, 1 + row % 3);
    for (int i = 0; i < annotators; ++i) text << "\t" << kWords[(row + i) % 3];
    if (annotators >= 0) text << "\t" << kWords[row % 3];
    text << "\n";
  }
  return text.str();
}

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class Mnli : public testing::Test {
 protected:
  Mnli() {
    write_vocabulary(path("vocab.txt"));
    const std::filesystem::path mnli = folder_.path() / "MNLI";
    write(mnli / "train.tsv", mnli_rows(48, 1));
    write(mnli / "dev_matched.tsv", mnli_rows(12, 5));
    write(mnli / "dev_mismatched.tsv", mnli_rows(15, 5));
    write(mnli / "test_matched.tsv", mnli_rows(4, -1));
    write(mnli / "test_mismatched.tsv", mnli_rows(6, -1));
    write(folder_.path() / "AX" / "diagnostic.tsv",
          "index\tsentence1\tsentence2\n0\tw1 w2\tw3\n1\tw4\tw5\n2\tw6\tw7 w8\n");
  }

  [[nodiscard]] std::string path(const std::string& name) const {
    return (folder_.path() / name).string();
  }

  static Outcome program(std::vector<std::string> words) {
    words.insert(words.begin(), SBM_PROGRAM);
    return run(words);
  }

  void build(const std::string& task, const std::string& source, const std::string& out) const {
    const Outcome outcome = program({"data", "build", "--task", task, "--source", path(source),
                                     "--vocab", path("vocab.txt"), "--out", path(out)});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }

  TemporaryFolder folder_;
};

TEST_F(Mnli, GoesFromItsFilesToTheServers) {
  build("glue/mnli", "MNLI", "mnli");
  build("glue/ax", "AX", "ax");
  const TinyRun tiny(folder_.path());
  const Outcome trained =
      run(tiny.train(2, "mnli",
                     {"--set=task.name=glue/mnli", "--set=data.directory=" + path("mnli"),
                      "--set=training.steps=6", "--set=training.evaluate_every=0"}));
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::string checkpoint = "--checkpoint=" + tiny.run_folder("mnli").string();

  // Both validation sets make one task of the score; each alone is half of it.
  double sum = 0;
  for (const auto& [split, samples] :
       {std::pair{"validation", 12}, std::pair{"validation_mismatched", 15}}) {
    const Outcome outcome =
        program({"eval", checkpoint, std::string("--split=") + split, "--json"});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const auto answer = nlohmann::json::parse(outcome.out);
    EXPECT_EQ(answer["samples"], samples);
    sum += answer["metrics"]["accuracy"].get<double>();
    write(path(std::string(split) + ".json"), outcome.out);
  }
  const Outcome scored = program({"glue-score", path("validation.json"),
                                  path("validation_mismatched.json"), "--partial", "--json"});
  ASSERT_EQ(scored.code, 0) << scored.err;
  EXPECT_NEAR(nlohmann::json::parse(scored.out)["score"].get<double>(), sum / 2, 1e-12);
  EXPECT_EQ(program({"eval", checkpoint, "--split=test"}).code, 3);

  const Outcome predicted = program({"predict", checkpoint, "--submission", path("out.zip"),
                                     "--diagnostic", path("ax"), "--json"});
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  const auto summary = nlohmann::json::parse(predicted.out);
  ASSERT_EQ(summary["files"].size(), 3U);
  const std::set<std::string> words(std::begin(kWords), std::end(kWords));
  const std::string archive = text_of(path("out.zip"));
  int file = 0;
  for (const auto& [name, rows] :
       {std::pair{"MNLI-m.tsv", 4}, std::pair{"MNLI-mm.tsv", 6}, std::pair{"AX.tsv", 3}}) {
    EXPECT_EQ(summary["files"][file]["file"], name);
    EXPECT_EQ(summary["files"][file]["samples"], rows);
    ++file;
    // Files are stored as they are, behind their names.
    const std::string start = std::string(name) + "index\tprediction\n";
    const std::size_t begin = archive.find(start);
    ASSERT_NE(begin, std::string::npos) << name;
    std::istringstream lines(archive.substr(begin + start.size()));
    for (int row = 0; row < rows; ++row) {
      std::string line;
      std::getline(lines, line);
      const std::size_t tab = line.find('\t');
      ASSERT_NE(tab, std::string::npos) << line;
      EXPECT_EQ(line.substr(0, tab), std::to_string(row));
      EXPECT_TRUE(words.contains(line.substr(tab + 1))) << line;
    }
  }
}

}  // namespace
}  // namespace sbm::launch
