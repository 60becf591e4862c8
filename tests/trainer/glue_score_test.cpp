#include "trainer/glue_score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "tests/temporary_folder.h"

namespace sbm::trainer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TaskResult result(const std::string& task, std::map<std::string, double> metrics,
                  const std::string& split = "test") {
  std::string source = task;
  source += "/" + split;
  return {.task = "glue/" + task, .split = split, .metrics = std::move(metrics), .source = source};
}

// A row of the public leaderboard, whose own score is 80.5: MNLI counts once, two metrics half
// each.
std::vector<TaskResult> whole_row() {
  return {result("cola", {{"matthews", 0.605}, {"accuracy", 0.9}}),
          result("sst-2", {{"accuracy", 0.949}}),
          result("mrpc", {{"f1", 0.893}, {"accuracy", 0.854}}),
          result("sts-b", {{"pearson", 0.876}, {"spearman", 0.865}}),
          result("qqp", {{"f1", 0.721}, {"accuracy", 0.893}}),
          result("mnli", {{"accuracy", 0.867}}),
          result("mnli", {{"accuracy", 0.859}}, "test_mismatched"),
          result("qnli", {{"accuracy", 0.927}}),
          result("rte", {{"accuracy", 0.701}}),
          result("wnli", {{"accuracy", 0.651}})};
}

TEST(GlueScore, IsTheMeanOverNineTasks) {
  const GlueScore score = glue_score(whole_row());
  EXPECT_EQ(score.complete(), 9U);
  // MNLI counts once, and each of two metrics half.
  const double sum = 0.605 + 0.949 + 0.8735 + 0.8705 + 0.807 + 0.863 + 0.927 + 0.701 + 0.651;
  EXPECT_NEAR(*score.score, sum / 9, 1e-12);
  EXPECT_NEAR(*score.tasks[0].score, 0.605, 1e-12);
  EXPECT_NEAR(*score.tasks[2].score, (0.893 + 0.854) / 2, 1e-12);
  EXPECT_NEAR(*score.tasks[5].score, (0.867 + 0.859) / 2, 1e-12);
  EXPECT_THAT(score.tasks[5].parts, ElementsAre("accuracy 0.8670", "accuracy (mismatched) 0.8590"));
}

TEST(GlueScore, SaysWhatIsMissing) {
  std::vector<TaskResult> row = whole_row();
  row.erase(row.begin() + 6);  // MNLI's second split
  row.erase(row.begin());
  const GlueScore score = glue_score(row);
  EXPECT_EQ(score.complete(), 7U);
  EXPECT_FALSE(score.tasks[0].score);
  EXPECT_THAT(score.tasks[0].missing, ElementsAre("test"));
  EXPECT_FALSE(score.tasks[5].score);
  EXPECT_THAT(score.tasks[5].missing, ElementsAre("test_mismatched"));
  EXPECT_NEAR(*score.score, (0.949 + 0.8735 + 0.8705 + 0.807 + 0.927 + 0.701 + 0.651) / 7, 1e-12);
  EXPECT_FALSE(glue_score({row[4]}).score);  // half of MNLI
}

TEST(GlueScore, RefusesWhatDoesNotBelongTogether) {
  const auto fails = [](const std::vector<TaskResult>& results, const char* words) {
    EXPECT_THAT([&] { (void)glue_score(results); }, ThrowsMessage<ConfigError>(HasSubstr(words)));
  };
  fails({}, "found none");
  fails({result("cola", {{"matthews", 0.5}}), result("rte", {{"accuracy", 0.5}}, "validation")},
        "found test in cola/test and validation in rte/validation");
  fails({result("rte", {{"accuracy", 0.5}}), result("rte", {{"accuracy", 0.6}})}, "expected one");
  fails({result("ax", {{"accuracy", 0.5}})}, "of GLUE");
  fails({result("rte", {{"accuracy", 0.5}}, "train")}, "split train of glue/rte");
  EXPECT_THAT(
      [] {
        (void)glue_score({result("mrpc", {{"accuracy", 0.5}})});
      },
      ThrowsMessage<DataError>(HasSubstr("metric f1 of glue/mrpc")));
}

TEST(TaskResults, ComeFromRunFoldersAndAnswersOfEval) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "config.textproto") << "task { name: \"glue/rte\" }";
  std::ofstream(folder.path() / "metrics.jsonl") << R"({"step":5,"loss":1.0}
{"step":5,"split":"validation","metrics":{"accuracy":0.5},"best":true}
{"step":9,"split":"validation","metrics":{"accuracy":0.75},"best":true}
{"step":12,"split":"validation","metrics":{"accuracy":0.25},"best":false}
{"step":13,"spl)";  // a run is writing it
  const TaskResult best = read_task_result(folder.path());
  EXPECT_EQ(best.task, "glue/rte");
  EXPECT_EQ(best.split, "validation");
  EXPECT_EQ(best.metrics.at("accuracy"), 0.75);

  const std::filesystem::path answer = folder.path() / "eval.json";
  std::ofstream(answer) << R"({"task":"glue/mnli","split":"validation_mismatched",
                               "metrics":{"accuracy":0.5},"loss":1.0})";
  EXPECT_EQ(read_task_result(answer).split, "validation_mismatched");
  std::ofstream(answer) << R"({"task":"glue/sts-b","split":"validation",
                               "metrics":{"pearson":null,"spearman":null}})";
  EXPECT_THAT([&] { (void)glue_score({read_task_result(answer)}); },
              ThrowsMessage<DataError>(testing::AllOf(
                  HasSubstr(answer.string() + ": expected a number for the metric pearson of "),
                  HasSubstr("not defined"))));
  std::ofstream(answer) << R"({"task":"glue/mnli","split":"test","metrics":{"accuracy":"half"}})";
  EXPECT_THROW(read_task_result(answer), DataError);
  std::ofstream(answer) << "no JSON";
  EXPECT_THROW(read_task_result(answer), DataError);
  EXPECT_THROW(read_task_result(folder.path() / "none.json"), DataError);
  std::ofstream(folder.path() / "metrics.jsonl") << "{}\n";
  EXPECT_THROW(read_task_result(folder.path()), DataError);
}

}  // namespace
}  // namespace sbm::trainer
