// That the measurements run and answer; how fast anything is, no test can say.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/launch/process.h"
#include "tests/launch/tiny_run.h"
#include "tests/temporary_folder.h"

namespace sbm::launch {
namespace {

TEST(Bench, AttentionAnswersForEachDensity) {
  const std::vector<std::string> command = {
      SBM_PROGRAM,     "bench",       "attention",    "--tokens=96", "--batch=2", "--heads=1",
      "--head-dim=16", "--repeats=3", "--clusters=8", "--density",   "0.3",       "0.05"};
  std::vector<std::string> as_json = command;
  as_json.push_back("--json");
  as_json.push_back("--published");
  as_json.push_back("--bf16-memberships");
  const Outcome outcome = run(as_json);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto answer = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(answer["tokens"], 96);
  EXPECT_EQ(answer["threads"], 1);
  ASSERT_EQ(answer["results"].size(), 2U);
  for (const auto& result : answer["results"]) {
    // 18,432 cells, about 1 % of them forced diagonal: .03 is over five standard deviations.
    EXPECT_NEAR(result["density"].get<double>(), result["mean_probability"].get<double>() + 0.01,
                0.03);
    for (const char* positive : {"sbm_seconds", "full_seconds", "ratio", "input_bytes"}) {
      EXPECT_GT(result[positive].get<double>(), 0.0) << positive;
    }
    EXPECT_GT(result["published"]["seconds"].get<double>(), 0.0);
    EXPECT_GT(result["published"]["ratio"].get<double>(), 0.0);
    for (const char* positive : {"seconds", "ratio", "to_float"}) {
      EXPECT_GT(result["bf16"][positive].get<double>(), 0.0) << positive;
    }
    EXPECT_TRUE(result["peak_bytes"].is_null() || result["peak_bytes"].get<std::int64_t>() >= 0);
  }
  const Outcome table = run(command);
  EXPECT_EQ(table.code, 0);
  EXPECT_NE(table.out.find("ratio"), std::string::npos);
  EXPECT_EQ(run({SBM_PROGRAM, "bench"}).code, 2);
  EXPECT_EQ(run({SBM_PROGRAM, "bench", "attention", "--density=1.5"}).code, 2);
}

TEST(Bench, SweepShowsTheGrowth) {
  const TemporaryFolder folder;
  const std::filesystem::path chart = folder.path() / "growth.svg";
  const Outcome outcome = run({SBM_PROGRAM, "bench", "attention", "--sweep", "--edges-per-row=4",
                               "--batch=1", "--heads=1", "--head-dim=8", "--clusters=4",
                               "--repeats=1", "--json", "--svg=" + chart.string()});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto answer = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(answer["results"].size(), 6U);
  EXPECT_TRUE(answer["results"][0]["growth"].is_null());
  for (const auto& result : answer["results"]) {
    // Four edges a row and the forced one.
    EXPECT_NEAR(result["density"].get<double>() * result["tokens"].get<double>(), 5.0, 0.5);
    EXPECT_GT(result["sbm_seconds"].get<double>(), 0.0);
  }
  std::ifstream file(chart);
  const std::string svg((std::istreambuf_iterator<char>(file)), {});
  EXPECT_TRUE(svg.starts_with("<svg ") && svg.ends_with("</svg>\n")) << svg;
  EXPECT_NE(svg.find(">65536</text>"), std::string::npos);
  EXPECT_EQ(run({SBM_PROGRAM, "bench", "attention", "--edges-per-row=4"}).code, 2);
  EXPECT_EQ(run({SBM_PROGRAM, "bench", "attention", "--svg=x.svg"}).code, 2);
  for (const char* option : {"--tokens=64", "--density=0.1", "--published", "--bf16-memberships"}) {
    const Outcome both = run({SBM_PROGRAM, "bench", "attention", "--sweep", option});
    EXPECT_EQ(both.code, 2) << option;
    EXPECT_NE(both.err.find("excludes"), std::string::npos) << both.err;
  }
}

TEST(Bench, CalibrationSuggestsAShareOfEdges) {
  const std::vector<std::string> command = {
      SBM_PROGRAM, "bench",     "attention",    "--calibrate",  "--tokens=96",
      "--batch=1", "--heads=1", "--head-dim=8", "--clusters=4", "--repeats=3"};
  std::vector<std::string> as_json = command;
  as_json.push_back("--json");
  const Outcome outcome = run(as_json);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto answer = nlohmann::json::parse(outcome.out);
  const auto share = answer["dense_from"].get<double>();
  EXPECT_TRUE(share > 0.3 && share <= 1.0) << share;
  EXPECT_EQ(answer["results"].size(), 7U);
  EXPECT_NE(run(command).out.find("--set model.attention.dense_from="), std::string::npos);
}

TEST(Bench, LoaderAnswersForEachConfiguration) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  const std::string data = (folder.path() / "data").string();
  std::vector<std::string> build = {SBM_PROGRAM, "data", "build", "--task=lra/listops",
                                    "--out=" + data};
  for (const char* field : {"train_samples=100", "validation_samples=2", "test_samples=2",
                            "max_depth=3", "max_arguments=4", "min_length=6", "max_length=40"}) {
    build.push_back(std::string("--set=data.listops.") + field);
  }
  ASSERT_EQ(run(build).code, 0);
  const std::filesystem::path words = folder.path() / "words.textproto";
  std::ofstream(words) << R"(task { name: "pretrain/mlm" } data { directory: "unused" }
      model { layers: 1 heads: 1 head_dim: 8 embedding_dim: 8 feed_forward_dim: 8 max_length: 128
              attention { clusters: 4 } }
      training { steps: 1 warmup_steps: 0 })";
  const std::vector<std::string> command = {SBM_PROGRAM,
                                            "bench",
                                            "loader",
                                            "--config",
                                            tiny.configuration().string(),
                                            words.string(),
                                            "--data=" + data,
                                            "--work-dir=" + folder.path().string(),
                                            "--stand-in-tokens=20000",
                                            "--seconds=0.01"};
  std::vector<std::string> as_json = command;
  as_json.push_back("--json");
  const Outcome outcome = run(as_json);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto answer = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(answer["results"].size(), 2U);
  EXPECT_EQ(answer["results"][0]["task"], "lra/listops");
  EXPECT_EQ(answer["results"][0]["data"], data);
  EXPECT_EQ(answer["results"][0]["samples"], 100);
  EXPECT_EQ(answer["results"][1]["task"], "pretrain/mlm");
  EXPECT_TRUE(answer["results"][1]["data"].is_null());
  for (const auto& result : answer["results"]) {
    for (const char* positive :
         {"pass_tokens", "warm_tokens_per_second", "training_tokens_per_second", "ratio"}) {
      EXPECT_GT(result[positive].get<double>(), 0.0) << positive;
    }
    // A file system may keep everything in memory; then nothing is called cold.
    EXPECT_EQ(result["cold_tokens_per_second"].is_null(),
              result["still_cached"].get<double>() > 0.05);
  }
  EXPECT_NE(run(command).out.find("stand-in"), std::string::npos);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    EXPECT_EQ(entry.path().string().find("loader-bench"), std::string::npos) << entry.path();
  }
  EXPECT_EQ(run({SBM_PROGRAM, "bench", "loader"}).code, 2);
  std::vector<std::string> twice = command;
  twice.push_back("--data=" + data);
  EXPECT_EQ(run(twice).code, 2);
  const Outcome unused = run({SBM_PROGRAM, "bench", "loader", "--config=" + words.string(),
                              "--data=" + data, "--work-dir=" + folder.path().string()});
  EXPECT_EQ(unused.code, 2);
  EXPECT_NE(unused.err.find("expected data of a task of --config, found lra/listops"),
            std::string::npos)
      << unused.err;
}

TEST(Bench, GoalsSayOfWhichSizes) {
  const Outcome outcome = run({SBM_PROGRAM, "bench", "attention", "--goals", "--tokens=64"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("excludes"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace sbm::launch
