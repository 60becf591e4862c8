// Every kind of task that comes from files: built from the official formats, trained with the same
// bits at any world size and across stops, evaluated and predicted.

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

/// As many as write_mrpc() makes. Two and a half steps of 24: step 3 ends within an epoch, step 5
/// with the second one.
constexpr int kTrainRows = 60;

void write_cola(const std::filesystem::path& folder) {
  const auto labelled = [](int rows, int seed) {
    std::ostringstream text;
    for (int i = 0; i < rows; ++i) {
      text << "gj04\t" << i * i % 3 % 2 << "\t\t" << sentence(seed + i, 1 + i * i % 29) << "\n";
    }
    return text.str();
  };
  write(folder / "train.tsv", labelled(kTrainRows, 0));
  write(folder / "dev.tsv", labelled(25, 3));
  write(folder / "test.tsv", "index\tsentence\n0\tw1 w2\n1\tw4\n");
}

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
  write(folder / "train.tsv", rows(kTrainRows, true));
  write(folder / "dev.tsv", rows(25, true));
  write(folder / "test.tsv", rows(3, false));
}

void write_retrieval(const std::filesystem::path& folder) {
  std::ostringstream text;
  for (int i = 0; i < kTrainRows; ++i) {
    text << i % 2 << ".0\t1\t2\t" << sentence(i, 3 + i % 9) << "\t" << sentence(5 * i, 2 + i % 5)
         << "\n";
  }
  for (const char* split : {"train", "eval", "test"}) {
    write(folder / (std::string("new_aan_pairs.") + split + ".tsv"), text.str());
  }
}

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class TaskRun : public testing::Test {
 protected:
  /// Builds the data of `task` from the files of `source`; runs are of this task from now on.
  void build(const std::string& task, bool words) {
    built_ = folder_.path() / task.substr(task.find('/') + 1);
    std::vector<std::string> command = {SBM_PROGRAM,       "data",  "build",
                                        "--task",          task,    "--source",
                                        source().string(), "--out", built_.string()};
    if (words) {
      write_vocabulary(folder_.path() / "vocab.txt");
      command.push_back("--vocab=" + (folder_.path() / "vocab.txt").string());
    }
    const Outcome outcome = run(command);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    settings_ = {"--set=task.name=" + task, "--set=data.directory=" + built_.string(),
                 "--set=training.steps=8", "--set=training.evaluate_every=0",
                 "--set=checkpoint.every_steps=0"};
  }

  void train(int ranks, const std::string& name, int stop_at_step = 0) {
    std::vector<std::string> settings = settings_;
    settings.push_back(numbered("--set=training.stop_at_step=", stop_at_step));
    const Outcome outcome = run(tiny_.train(ranks, name, settings));
    ASSERT_EQ(outcome.code, stop_at_step == 0 ? 0 : 75) << outcome.err;
  }

  /// One, two and four ranks write the same checkpoint, also when they stop within an epoch or at
  /// the end of one and go on at another world size; one and two evaluate it to the same answer.
  nlohmann::json train_and_evaluate() {
    train(1, "ranks1");
    train(2, "ranks2");
    train(4, "within", 3);
    train(1, "within");
    train(2, "between", 5);
    train(4, "between");
    const auto expected = promised_bytes(tiny_.checkpoint("ranks1", 8));
    EXPECT_EQ(expected.size(), 4U);
    for (const char* name : {"ranks2", "within", "between"}) {
      EXPECT_EQ(promised_bytes(tiny_.checkpoint(name, 8)), expected) << name;
    }
    const Outcome alone = ask({"eval", "--split=validation", "--json"}, 1);
    EXPECT_EQ(alone.code, 0) << alone.err;
    EXPECT_EQ(ask({"eval", "--split=validation", "--json"}, 2).out, alone.out);
    return nlohmann::json::parse(alone.out);
  }

  [[nodiscard]] Outcome ask(const std::vector<std::string>& words, int ranks) const {
    std::vector<std::string> command = words;
    command.push_back("--checkpoint=" + tiny_.run_folder("ranks1").string());
    command.emplace_back("--threads=1");
    return program(command, ranks);
  }

  static Outcome program(const std::vector<std::string>& words, int ranks) {
    std::vector<std::string> command = ranks > 1 ? mpirun(ranks) : std::vector<std::string>();
    command.emplace_back(SBM_PROGRAM);
    command.insert(command.end(), words.begin(), words.end());
    return run(command);
  }

  [[nodiscard]] std::filesystem::path source() const { return folder_.path() / "source"; }

  TemporaryFolder folder_;
  TinyRun tiny_{folder_.path()};
  std::filesystem::path built_;
  std::vector<std::string> settings_;
};

TEST_F(TaskRun, Sentences) {
  write_cola(source());
  build("glue/cola", true);
  const nlohmann::json answer = train_and_evaluate();
  EXPECT_EQ(answer["samples"], 25);
  const double matthews = answer["metrics"]["matthews"];

  const std::string run_folder = tiny_.run_folder("ranks1").string();
  const Outcome refused = program({"glue-score", run_folder}, 1);
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("found none of glue/sst-2 (validation), glue/mrpc"), std::string::npos)
      << refused.err;
  const Outcome partial = program({"glue-score", run_folder, "--partial", "--json"}, 1);
  ASSERT_EQ(partial.code, 0) << partial.err;
  const auto score = nlohmann::json::parse(partial.out);
  EXPECT_TRUE(score["partial"]);
  EXPECT_EQ(score["missing"].size(), 8U);
  EXPECT_EQ(score["score"], matthews);
}

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
  std::istringstream file(text_of(folder_.path() / "STS-B.tsv"));
  std::vector<std::string> rows;
  for (std::string row; std::getline(file, row);) rows.push_back(row);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_EQ(rows[0], "index\tprediction");
  std::ostringstream first;
  first << "0\t" << std::fixed << std::setprecision(3) << line["prediction"].get<double>();
  EXPECT_EQ(rows[1], first.str());
  EXPECT_EQ(ask({"predict", folder, "--split=validation"}, 1).code, 2);
}

// Files are stored as they are, so an archive holds the text of each.
TEST_F(TaskRun, SeveralRunsMakeOneArchive) {
  write_cola(source());
  build("glue/cola", true);
  train(0, "cola", 1);
  write_mrpc(source());
  build("glue/mrpc", true);
  train(0, "ranks1", 1);
  const std::string cola = tiny_.run_folder("cola").string();
  const std::string mrpc = tiny_.run_folder("ranks1").string();
  const std::string folder = folder_.path().string();
  ASSERT_EQ(ask({"predict", "--submission=" + folder}, 1).code, 0);
  const std::string of_mrpc = text_of(folder_.path() / "MRPC.tsv");
  EXPECT_EQ(of_mrpc.substr(0, 17), "index\tprediction\n");

  const std::string archive = folder + "/out.zip";
  const Outcome both =
      program({"predict", "--checkpoint", mrpc, cola, "--submission", archive, "--json"}, 2);
  ASSERT_EQ(both.code, 0) << both.err;
  EXPECT_NE(both.err.find("expected 1063 rows"), std::string::npos) << both.err;
  const auto summary = nlohmann::json::parse(both.out);
  ASSERT_EQ(summary["files"].size(), 2U);
  EXPECT_EQ(summary["files"][0]["file"], "CoLA.tsv");
  EXPECT_EQ(summary["files"][1]["samples"], 2);
  EXPECT_EQ(summary["missing"].size(), 9U);
  EXPECT_NE(text_of(archive).find("MRPC.tsv" + of_mrpc), std::string::npos);
  EXPECT_NE(text_of(archive).find("CoLA.tsvindex\tprediction\n0\t"), std::string::npos);
  const std::string again = folder + "/again.zip";
  ASSERT_EQ(program({"predict", "--checkpoint", cola, mrpc, "--submission", again}, 1).code, 0);
  EXPECT_EQ(text_of(again), text_of(archive));

  const auto refused = [&](std::vector<std::string> words, const char* why) {
    words.insert(words.begin(), "predict");
    const Outcome outcome = program(words, 1);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_NE(outcome.err.find(why), std::string::npos) << outcome.err;
  };
  const std::string other = "--submission=" + folder + "/other.zip";
  refused({"--checkpoint", cola, cola, other}, "expected one run of glue/cola");
  refused({"--checkpoint", cola, mrpc}, "--submission FILE.zip with several");
  refused({"--checkpoint", cola, other, "--split=test"}, "--split");
  refused({"--checkpoint", cola, other, "--diagnostic=" + folder}, "run of glue/mnli");
  refused({"--checkpoint", cola, mrpc, other, "--data=" + folder}, "--data");
  refused({"--checkpoint", cola, "--submission", archive}, "expected a name that is free");
}

TEST_F(TaskRun, ALabelForEachToken) {
  settings_ = {"--set=task.name=synthetic/repeated-tokens",
               "--set=data.repeated_tokens.train_samples=60",
               "--set=data.repeated_tokens.validation_samples=25",
               "--set=data.repeated_tokens.test_samples=5",
               "--set=data.repeated_tokens.length=16",
               "--set=training.steps=8",
               "--set=training.evaluate_every=0",
               "--set=checkpoint.every_steps=0"};
  for (const char* field : {"train_samples=96000", "validation_samples=2000", "test_samples=2000",
                            "max_depth=10", "max_arguments=10", "min_length=500",
                            "max_length=2000"}) {  // not the ListOps of the tiny configuration
    settings_.push_back(std::string("--set=data.listops.") + field);
  }
  const nlohmann::json answer = train_and_evaluate();
  EXPECT_EQ(answer["samples"], 25);
  EXPECT_TRUE(answer["metrics"]["accuracy"].is_number());
}

TEST_F(TaskRun, TwoDocuments) {
  write_retrieval(source());
  build("lra/retrieval", false);
  const nlohmann::json answer = train_and_evaluate();
  EXPECT_EQ(answer["samples"], kTrainRows);
  EXPECT_TRUE(answer["metrics"]["accuracy"].is_number());
  EXPECT_TRUE(std::filesystem::exists(tiny_.run_folder("ranks1") / "masks.json"));
}

}  // namespace
}  // namespace sbm::launch
