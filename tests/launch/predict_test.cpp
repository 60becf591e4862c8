// What the program predicts, and that it says the same at any world size.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

Outcome predict(int ranks, const std::filesystem::path& run_folder,
                const std::vector<std::string>& more) {
  std::vector<std::string> command = ranks == 1 ? std::vector<std::string>{} : mpirun(ranks);
  for (const std::string& word :
       {std::string(SBM_PROGRAM), std::string("predict"), "--checkpoint=" + run_folder.string(),
        std::string("--threads=1"), std::string("--draws=2")}) {
    command.push_back(word);
  }
  command.insert(command.end(), more.begin(), more.end());
  return run(command);
}

TEST(Predict, WritesTheSameLinesAtAnyWorldSize) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  ASSERT_EQ(run(tiny.train(2, "r", {"--set=training.stop_at_step=20"})).code, 75);
  const std::filesystem::path run_folder = tiny.run_folder("r");
  const Outcome one = predict(1, run_folder, {});
  ASSERT_EQ(one.code, 0) << one.err;

  std::istringstream lines(one.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json["sample"], count);
    EXPECT_TRUE(json["prediction"].is_string());
    double sum = 0.0;
    for (const auto& probability : json["probabilities"]) sum += probability.get<double>();
    EXPECT_NEAR(sum, 1.0, 1e-4);
    EXPECT_EQ(json["probabilities"].size(), 10U);
  }
  EXPECT_EQ(count, 50);

  const std::filesystem::path file = folder.path() / "predictions.jsonl";
  const Outcome three = predict(3, run_folder, {"--out=" + file.string(), "--json"});
  ASSERT_EQ(three.code, 0) << three.err;
  EXPECT_EQ(text_of(file), one.out);
  const auto summary = nlohmann::json::parse(three.out);
  EXPECT_EQ(summary["task"], "lra/listops");
  EXPECT_EQ(summary["split"], "test");
  EXPECT_EQ(summary["step"], 20);
  EXPECT_EQ(summary["samples"], 50);
  EXPECT_EQ(summary["out"], file.string());

  // A file that is there is never replaced.
  for (const int ranks : {1, 3}) {
    const Outcome again = predict(ranks, run_folder, {"--out=" + file.string()});
    EXPECT_EQ(again.code, 2) << again.err;
    EXPECT_THAT(again.err, testing::HasSubstr(file.string()));
  }
  EXPECT_EQ(text_of(file), one.out);
  EXPECT_EQ(predict(1, run_folder, {"--json"}).code, 2);
  EXPECT_EQ(predict(1, run_folder, {"--out=" + (folder.path() / "no/such/file").string()}).code, 2);
  EXPECT_EQ(predict(1, run_folder, {"--split=tset"}).code, 3);
}

}  // namespace
}  // namespace sbm::launch
