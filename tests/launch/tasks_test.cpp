// Tasks whose samples have two parts, or a score for a label: built from files in the official
// formats, trained with the same bits at any world size, evaluated and predicted.

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iomanip>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/launch/text_files.h"
#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

void write_sts_b(const std::filesystem::path& folder) {
  const std::string header =
      "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2";
  const auto rows = [&](int count, bool scored) {
    std::ostringstream text;
    text << header << (scored ? "\tscore\n" : "\n");
    for (int i = 0; i < count; ++i) {
      text << i << "\tg\tf\t2012\t" << i << "\ta\tb\t" << sentence(3 * i, 3) << "\t"
           << sentence(i, 2 + i % 3);
      if (scored) text << "\t" << i * 7 % 25 / 5 << "." << i % 10;
      text << "\n";
    }
    return text.str();
  };
  write(folder / "train.tsv", rows(60, true));
  write(folder / "dev.tsv", rows(25, true));
  write(folder / "test.tsv", rows(3, false));
}

void write_retrieval(const std::filesystem::path& folder) {
  std::ostringstream text;
  for (int i = 0; i < 50; ++i) {
    text << i % 2 << ".0\t1\t2\t" << sentence(i, 3 + i % 9) << "\t" << sentence(5 * i, 2 + i % 5)
         << "\n";
  }
  for (const char* split : {"train", "eval", "test"}) {
    write(folder / (std::string("new_aan_pairs.") + split + ".tsv"), text.str());
  }
}

class TaskRun : public testing::Test {
 protected:
  /// Builds the data of `task` from the files of `source`.
  void build(const std::string& task, bool words) {
    std::vector<std::string> command = {SBM_PROGRAM,       "data",  "build",
                                        "--task",          task,    "--source",
                                        source().string(), "--out", built().string()};
    if (words) {
      write_vocabulary(folder_.path() / "vocab.txt");
      command.push_back("--vocab=" + (folder_.path() / "vocab.txt").string());
    }
    const Outcome outcome = run(command);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    settings_ = {"--set=task.name=" + task, "--set=data.directory=" + built().string(),
                 "--set=training.stop_at_step=20"};
  }

  /// One and two ranks write the same checkpoint, and evaluate it to the same answer.
  nlohmann::json train_and_evaluate() {
    for (const int ranks : {1, 2}) {
      const std::string name = numbered("ranks", ranks);
      const Outcome outcome = run(tiny_.train(ranks, name, settings_));
      EXPECT_EQ(outcome.code, 75) << outcome.err;
    }
    EXPECT_EQ(promised_bytes(tiny_.checkpoint("ranks2", 20)),
              promised_bytes(tiny_.checkpoint("ranks1", 20)));
    const Outcome alone = ask({"eval", "--split=validation", "--json"}, 1);
    EXPECT_EQ(alone.code, 0) << alone.err;
    EXPECT_EQ(ask({"eval", "--split=validation", "--json"}, 2).out, alone.out);
    return nlohmann::json::parse(alone.out);
  }

  [[nodiscard]] Outcome ask(const std::vector<std::string>& words, int ranks) const {
    std::vector<std::string> command = ranks > 1 ? mpirun(ranks) : std::vector<std::string>();
    command.emplace_back(SBM_PROGRAM);
    command.insert(command.end(), words.begin(), words.end());
    command.push_back("--checkpoint=" + tiny_.run_folder("ranks1").string());
    command.emplace_back("--threads=1");
    return run(command);
  }

  [[nodiscard]] std::filesystem::path source() const { return folder_.path() / "source"; }
  [[nodiscard]] std::filesystem::path built() const { return folder_.path() / "built"; }

  TemporaryFolder folder_;
  TinyRun tiny_{folder_.path()};
  std::vector<std::string> settings_;
};

TEST_F(TaskRun, PairsOfSentences) {
  write_mrpc(source());
  build("glue/mrpc", true);
  const nlohmann::json answer = train_and_evaluate();
  EXPECT_EQ(answer["samples"], 25);
  EXPECT_TRUE(answer["metrics"]["f1"].is_number());
  EXPECT_TRUE(answer["metrics"]["accuracy"].is_number());

  const Outcome refused = ask({"eval", "--split=test"}, 1);
  EXPECT_EQ(refused.code, 3);
  EXPECT_NE(refused.err.find("split test of glue/mrpc has no labels"), std::string::npos)
      << refused.err;
  const Outcome predicted = ask({"predict", "--split=test"}, 1);
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  const auto line = nlohmann::json::parse(predicted.out.substr(0, predicted.out.find('\n')));
  EXPECT_TRUE(line["prediction"] == "0" || line["prediction"] == "1") << line;
}

TEST_F(TaskRun, Scores) {
  write_sts_b(source());
  build("glue/sts-b", true);
  const nlohmann::json answer = train_and_evaluate();
  EXPECT_EQ(answer["samples"], 25);
  EXPECT_EQ(answer["metrics"].size(), 2U);
  EXPECT_LE(std::abs(answer["metrics"]["pearson"].get<double>()), 1.0);
  EXPECT_LE(std::abs(answer["metrics"]["spearman"].get<double>()), 1.0);
  EXPECT_FALSE(answer.contains("majority_share"));
  EXPECT_EQ(ask({"eval", "--split=test"}, 1).code, 3);
  const Outcome predicted = ask({"predict", "--split=test"}, 2);
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  EXPECT_EQ(predicted.out, ask({"predict", "--split=test"}, 1).out);
  const auto line = nlohmann::json::parse(predicted.out.substr(0, predicted.out.find('\n')));
  EXPECT_TRUE(line["prediction"].is_number()) << line;

  const std::string folder = "--submission=" + folder_.path().string();
  ASSERT_EQ(ask({"predict", folder}, 2).code, 0);
  std::ifstream file(folder_.path() / "STS-B.tsv");
  std::vector<std::string> rows;
  for (std::string row; std::getline(file, row);) rows.push_back(row);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0], "index\tprediction");
  std::ostringstream first;
  first << "0\t" << std::fixed << std::setprecision(3) << line["prediction"].get<double>();
  EXPECT_EQ(rows[1], first.str());
  EXPECT_EQ(ask({"predict", folder, "--split=validation"}, 1).code, 2);
}

TEST_F(TaskRun, TwoDocuments) {
  write_retrieval(source());
  build("lra/retrieval", false);
  const nlohmann::json answer = train_and_evaluate();
  EXPECT_EQ(answer["samples"], 50);
  EXPECT_TRUE(answer["metrics"]["accuracy"].is_number());
  EXPECT_TRUE(std::filesystem::exists(tiny_.run_folder("ranks1") / "masks.json"));
}

}  // namespace
}  // namespace sbm::launch
