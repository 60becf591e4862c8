// The one published test set of GLUE whose labels are public, from its files to its score, where
// the files are beside the sources.

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

// Gold labels in the order of the rows.
std::vector<std::string> gold_labels(const std::filesystem::path& file) {
  std::ifstream rows(file);
  std::vector<std::string> labels;
  std::string row;
  std::getline(rows, row);  // the header
  while (std::getline(rows, row)) labels.push_back(row.substr(0, 1));
  return labels;
}

// 1,725 pairs, on a processor that others may be using.
std::string answer_of(std::vector<std::string> command) {
  command.emplace_back("--threads=1");
  Process process(command);
  EXPECT_EQ(process.wait(std::chrono::minutes(8)), 0) << process.err();
  return process.out();
}

TEST(PublishedMrpc, IsScoredOnItsTestSet) {
  const std::filesystem::path shared =
      std::filesystem::path(SBM_SOURCE_DIR).parent_path() / "shared" / "data";
  const std::filesystem::path mrpc = shared / "glue" / "MRPC";
  if (!std::filesystem::exists(mrpc)) GTEST_SKIP() << "no folder " << mrpc;
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  const std::string data = (folder.path() / "mrpc").string();
  const Outcome built =
      run({SBM_PROGRAM, "data", "build", "--task=glue/mrpc", "--source=" + mrpc.string(),
           "--out=" + data, "--vocab=" + (shared / "bert" / "vocab.txt").string()});
  ASSERT_EQ(built.code, 0) << built.err;
  const Outcome trained = run(tiny.train(
      2, "mrpc",
      {"--set=task.name=glue/mrpc", "--set=data.directory=" + data, "--set=model.max_length=128",
       "--set=training.steps=20", "--set=training.evaluate_every=0"}));
  ASSERT_EQ(trained.code, 0) << trained.err;

  const std::string checkpoint = "--checkpoint=" + tiny.run_folder("mrpc").string();
  const auto answer =
      nlohmann::json::parse(answer_of({SBM_PROGRAM, "eval", checkpoint, "--split=test", "--json"}));
  EXPECT_EQ(answer["samples"], 1725);

  // The same from the predictions and the published file, counted here.
  const std::vector<std::string> gold = gold_labels(mrpc / "msr_paraphrase_test.txt");
  ASSERT_EQ(gold.size(), 1725U);
  answer_of({SBM_PROGRAM, "predict", checkpoint, "--split=test",
             "--submission=" + folder.path().string()});
  std::ifstream rows(folder.path() / "MRPC.tsv");
  std::string row;
  std::getline(rows, row);
  EXPECT_EQ(row, "index\tprediction");
  double right = 0;
  double found = 0;
  double both = 0;
  double paraphrases = 0;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    ASSERT_TRUE(std::getline(rows, row));
    ASSERT_EQ(row.substr(0, row.size() - 1), std::to_string(i) + "\t");
    const std::string label = row.substr(row.size() - 1);
    right += label == gold[i] ? 1 : 0;
    found += label == "1" ? 1 : 0;
    paraphrases += gold[i] == "1" ? 1 : 0;
    both += label == "1" && gold[i] == "1" ? 1 : 0;
  }
  EXPECT_FALSE(std::getline(rows, row));
  EXPECT_NEAR(answer["metrics"]["accuracy"].get<double>(), right / 1725, 1e-12);
  EXPECT_NEAR(answer["metrics"]["f1"].get<double>(), 2 * both / (found + paraphrases), 1e-12);
}

}  // namespace
}  // namespace sbm::launch
