// What goes wrong ends in one clear message and the exit code that the documentation promises.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

using testing::HasSubstr;
using testing::Not;

Outcome sbm(std::vector<std::string> words) {
  words.insert(words.begin(), SBM_PROGRAM);
  return run(words);
}

TEST(Usage, HelpAndVersionGoToStdout) {
  for (const auto& words :
       {std::vector<std::string>{"--help"}, {"train", "--help"}, {"--version"}}) {
    const Outcome outcome = sbm(words);
    EXPECT_EQ(outcome.code, 0);
    EXPECT_FALSE(outcome.out.empty());
    EXPECT_EQ(outcome.err, "");
    EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
  }
}

TEST(Usage, MisspeltWordsAreNamedWithTheNearestKnownOne) {
  Outcome outcome = sbm({"trian"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("\"train\""));
  outcome = sbm({"train", "--confg=x"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--config"));
  outcome = sbm({"data", "build", "--task=lra/listop", "--out=x"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--task: expected \""));
  EXPECT_THAT(outcome.err, HasSubstr("found \"lra/listop\"; did you mean \"lra/listops\"?"));
  outcome = sbm({"eval", "--checkpoint=x", "--mask=radnom"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("did you mean \"random\"?"));
  outcome = sbm({"train"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--config"));
}

TEST(Configuration, AllProblemsAtOnceWithExitCodeTwo) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  const Outcome outcome = run(tiny.train(
      2, "bad",
      {"--set=model.heads=0", "--set=training.steps=-1", "--set=model.attention.clusterz=3"}));
  EXPECT_EQ(outcome.code, 2) << outcome.err;
  for (const char* path : {"model.heads", "training.steps", "clusterz", "clusters"}) {
    EXPECT_THAT(outcome.err, HasSubstr(path));
  }
  EXPECT_FALSE(std::filesystem::exists(tiny.run_folder("bad")));
  EXPECT_EQ(sbm({"train", "--config=" + (folder.path() / "missing.textproto").string()}).code, 2);
  // More ranks than micro-batches: nothing sensible can be done.
  const Outcome many = run(tiny.train(5, "many"));
  EXPECT_EQ(many.code, 2) << many.err;
}

TEST(Configuration, AResumedRunKeepsWhatItBeganWith) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  ASSERT_EQ(run(tiny.train(1, "r", {"--set=training.stop_at_step=2"})).code, 75);
  const Outcome changed = run(tiny.train(1, "r", {"--set=training.learning_rate=1"}));
  EXPECT_EQ(changed.code, 2);
  EXPECT_THAT(changed.err, HasSubstr("training.learning_rate"));
  const Outcome fresh = run(tiny.train(1, "r", {"--resume=none"}));
  EXPECT_EQ(fresh.code, 2);
  EXPECT_THAT(fresh.err, HasSubstr("--run-dir"));
}

TEST(Data, DamageIsExitCodeThreeAndNamesTheFile) {
  const TemporaryFolder folder;
  const std::string out = (folder.path() / "d").string();
  ASSERT_EQ(
      sbm({"data", "build", "--task=synthetic/repeated-tokens", "--out=" + out,
           "--set=data.repeated_tokens.length=16", "--set=data.repeated_tokens.train_samples=50"})
          .code,
      0);
  const Outcome foreign = sbm({"data", "build", "--task=lra/listops", "--out=" + out + "2",
                               "--set=data.repeated_tokens.length=16"});
  EXPECT_EQ(foreign.code, 2);
  EXPECT_THAT(foreign.err, HasSubstr("--set data.repeated_tokens.length: expected a field that "
                                     "lra/listops takes, \"data.listops.train_samples\""));
  EXPECT_EQ(sbm({"data", "verify", out}).code, 0);
  const auto summary = nlohmann::json::parse(sbm({"data", "inspect", out, "--json"}).out);
  EXPECT_EQ(summary["splits"]["train"]["samples"], 50);
  std::filesystem::path shard;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(out)) {
    if (entry.path().extension() == ".sbm") shard = entry.path();
  }
  ASSERT_FALSE(shard.empty());
  flip_byte(shard, std::filesystem::file_size(shard) / 2);
  const Outcome damaged = sbm({"data", "verify", out});
  EXPECT_EQ(damaged.code, 3);
  EXPECT_THAT(damaged.err, HasSubstr(shard.filename().string()));
  std::filesystem::resize_file(shard, std::filesystem::file_size(shard) / 2);
  EXPECT_EQ(sbm({"data", "verify", out}).code, 3);
  EXPECT_EQ(sbm({"data", "inspect", (folder.path() / "nothing").string()}).code, 3);
}

TEST(Data, AFlippedByteStopsTrainingBeforeItLearnsFromIt) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  ASSERT_EQ(run(tiny.train(1, "r", {"--set=training.stop_at_step=1"})).code, 75);
  std::filesystem::path shard;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(folder.path() / "runs" / "datasets")) {
    if (entry.path().extension() == ".sbm" &&
        entry.path().string().find("train") != std::string::npos)
      shard = entry.path();
  }
  ASSERT_FALSE(shard.empty());
  flip_byte(shard, std::filesystem::file_size(shard) / 2);
  const Outcome outcome = run(tiny.train(2, "r"));
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(shard.filename().string()));
}

TEST(Data, AFileCutWhileItIsMappedIsNamed) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  for (const int ranks : {0, 2}) {
    const std::string name = ranks == 0 ? "alone" : "two";
    Process process(tiny.train(
        ranks, name,
        {"--set=training.steps=100000", "--set=checkpoint.every_steps=0",
         "--set=training.evaluate_every=0", "--set=data.listops.seed=" + std::to_string(ranks)}));
    ASSERT_TRUE(process.wait_for(tiny.run_folder(name) / "STATUS.json", std::chrono::seconds(60)))
        << process.err();
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder.path() / "runs" / "datasets")) {
      if (entry.path().extension() == ".sbm") std::filesystem::resize_file(entry.path(), 0);
    }
    EXPECT_EQ(process.wait(), 3) << process.err();
    EXPECT_THAT(process.err(), HasSubstr("sbm: rank "));
    EXPECT_THAT(process.err(), HasSubstr(".sbm: became shorter"));
  }
}

TEST(Checkpoint, DamageIsSkippedByAutoAndRefusedByPath) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  ASSERT_EQ(run(tiny.train(2, "r")).code, 0);
  const Outcome sound = sbm({"checkpoint", "verify", tiny.run_folder("r").string()});
  EXPECT_EQ(sound.code, 0);
  EXPECT_THAT(sound.out, HasSubstr("2 checkpoints verified"));
  const std::filesystem::path newest = tiny.checkpoint("r", 40);
  flip_byte(newest / "model-00000-of-00001.safetensors", 3000);
  EXPECT_EQ(sbm({"checkpoint", "verify", newest.string()}).code, 4);
  // Of a run all checkpoints are looked at, not only the best or the newest.
  const std::string run_folder = tiny.run_folder("r").string();
  const Outcome all = sbm({"checkpoint", "verify", run_folder});
  EXPECT_EQ(all.code, 4);
  EXPECT_THAT(all.out, HasSubstr(newest.string() + ": damaged"));
  EXPECT_THAT(all.out, HasSubstr(tiny.checkpoint("r", 20).string() + ": sound\n"));
  EXPECT_THAT(all.err, HasSubstr("1 of 2 checkpoints damaged"));
  const Outcome json = sbm({"checkpoint", "verify", run_folder, "--json"});
  EXPECT_EQ(json.code, 4);
  EXPECT_EQ(nlohmann::json::parse(json.out)["sound"], false);
  EXPECT_EQ(nlohmann::json::parse(json.out)["checkpoints"].size(), 2U);
  const Outcome named = run(tiny.train(2, "other", {"--resume=" + newest.string()}));
  EXPECT_EQ(named.code, 4) << named.err;
  EXPECT_THAT(named.err, HasSubstr("model-00000-of-00001.safetensors"));
  const Outcome skipped = run(tiny.train(2, "r"));
  EXPECT_EQ(skipped.code, 0) << skipped.err;
  EXPECT_THAT(skipped.err, HasSubstr("warning"));
  EXPECT_THAT(skipped.err, HasSubstr("resumed     step 20"));
  // None sound although some exist: never a silent fresh start.
  for (const auto& entry :
       std::filesystem::directory_iterator(tiny.run_folder("r") / "checkpoints")) {
    std::filesystem::resize_file(entry.path() / "MANIFEST.json", 100);
  }
  EXPECT_EQ(run(tiny.train(2, "r")).code, 4);
  EXPECT_EQ(sbm({"eval", "--checkpoint", (folder.path() / "nowhere").string()}).code, 4);
}

TEST(Training, DivergenceEndsEveryRankWithExitCodeFive) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  const Outcome outcome =
      run(tiny.train(3, "nan",
                     {"--set=training.learning_rate=1e30", "--set=training.clip_norm=0",
                      "--set=training.warmup_steps=0"}));
  EXPECT_EQ(outcome.code, 5) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("diverged at step"));
}

TEST(Training, TheRunFolderHoldsWhatTheDocumentationPromises) {
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  ASSERT_EQ(run(tiny.train(2, "r")).code, 0);
  const std::filesystem::path run_folder = tiny.run_folder("r");
  for (const char* name : {"config.textproto", "metrics.jsonl", "report.html", "STATUS.json",
                           "masks.json", "logs/rank-0.log", "logs/rank-1.log"}) {
    EXPECT_TRUE(std::filesystem::exists(run_folder / name)) << name;
  }
  std::ifstream metrics(run_folder / "metrics.jsonl");
  int training = 0, evaluations = 0;
  for (std::string line; std::getline(metrics, line);) {
    const auto json = nlohmann::json::parse(line);
    if (json.contains("split")) {
      EXPECT_TRUE(json["metrics"].contains("accuracy"));
      EXPECT_EQ(json["samples"], 40);
      ++evaluations;
    } else {
      for (const char* field :
           {"step", "epoch", "loss", "learning_rate", "density", "tokens_per_second"}) {
        EXPECT_TRUE(json.contains(field)) << field;
      }
      ++training;
    }
  }
  EXPECT_EQ(training, 8);
  EXPECT_EQ(evaluations, 2);

  const Outcome eval = sbm({"eval", "--checkpoint", run_folder.string(), "--json", "--threads=1"});
  ASSERT_EQ(eval.code, 0) << eval.err;
  const auto answer = nlohmann::json::parse(eval.out);
  EXPECT_EQ(answer["task"], "lra/listops");
  EXPECT_EQ(answer["split"], "test");
  EXPECT_EQ(answer["samples"], 50);
  EXPECT_TRUE(answer["metrics"]["accuracy"].is_number());
  // The same bits under mpirun.
  std::vector<std::string> command = mpirun(3);
  for (const std::string& word :
       {std::string(SBM_PROGRAM), std::string("eval"), "--checkpoint=" + run_folder.string(),
        std::string("--json"), std::string("--threads=1")}) {
    command.push_back(word);
  }
  EXPECT_EQ(run(command).out, eval.out);
  for (const char* mask : {"random", "rank1", "full"}) {
    const Outcome control =
        sbm({"eval", "--checkpoint", run_folder.string(), "--mask", mask, "--json"});
    ASSERT_EQ(control.code, 0) << control.err;
    if (std::string(mask) == "full") {
      EXPECT_EQ(nlohmann::json::parse(control.out)["density_with_self_loops"], 1.0);
    }
  }
  const std::filesystem::path exported = folder.path() / "model.safetensors";
  EXPECT_EQ(sbm({"checkpoint", "export", run_folder.string(), "--out", exported.string()}).code, 0);
  EXPECT_GT(std::filesystem::file_size(exported), 1000U);
  EXPECT_EQ(sbm({"checkpoint", "export", run_folder.string(), "--out", exported.string()}).code, 4);
}

TEST(Usage, AMisspeltInstructionSetIsRefused) {
  const Outcome outcome = run({"env", "SBM_CPU_TARGET=avx51", SBM_PROGRAM, "doctor"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("SBM_CPU_TARGET: expected baseline, sse4, avx2, avx512, found "
                                     "\"avx51\"; did you mean \"avx512\"?"));
}

}  // namespace
}  // namespace sbm::launch
