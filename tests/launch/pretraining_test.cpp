// Pretraining on masked language and fine-tuning from what came of it, by real processes: the same
// bits at any world size, wherever a run is stopped, and whatever form the weights come in.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <string>

#include "tests/launch/text_files.h"
#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

using Words = std::vector<std::string>;

constexpr int kGlobalBatch = 24;  // of TinyRun

class Pretraining : public testing::Test {
 protected:
  void SetUp() override {
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n##a\n##b\n";
    for (int i = 0; i < 10; ++i) vocabulary += numbered("w", i) + "\n";
    write(folder_.path() / "vocab.txt", vocabulary);
    std::ostringstream text;
    for (int i = 0; i < 90; ++i) {
      text << sentence(i, 4 + i % 9) << (i % 3 == 0 ? " w1ab w2ba" : " w5a") << "\n"
           << sentence(3 * i, 3 + i % 5) << "\n\n";
    }
    write(folder_.path() / "text" / "corpus.txt", text.str());
    build("pretrain/mlm", "text", "vocab.txt", "corpus");
  }

  void build(const std::string& task, const std::string& source, const std::string& vocabulary,
             const std::string& name, const Words& more = {}) const {
    Words command = {SBM_PROGRAM,
                     "data",
                     "build",
                     "--task=" + task,
                     "--source=" + (folder_.path() / source).string(),
                     "--vocab=" + (folder_.path() / vocabulary).string(),
                     "--out=" + built(name),
                     "--max-length=24"};
    if (task == "pretrain/mlm")
      command.emplace_back("--set=data.masked_language.validation_share=0.2");
    command.insert(command.end(), more.begin(), more.end());
    const Outcome outcome = run(command);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }

  [[nodiscard]] std::string built(const std::string& name) const {
    return (folder_.path() / "built" / name).string();
  }

  [[nodiscard]] Words settings(const Words& more = {}) const {
    Words all = {"--set=task.name=pretrain/mlm", "--set=data.directory=" + built("corpus"),
                 "--set=training.evaluate_every=0"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  /// Trains the masked-language model that the other tests begin with: 20 steps.
  void pretrain(const std::string& name) const {
    const Outcome outcome = run(tiny_.train(0, name, settings({"--set=training.steps=20"})));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }

  [[nodiscard]] Words mrpc(const std::string& from, const Words& more = {}) const {
    Words all = {"--set=task.name=glue/mrpc", "--set=data.directory=" + built("mrpc"),
                 "--set=training.steps=6", "--set=training.initialize_from=" + from};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  /// The weights of a checkpoint, as they stand in its file.
  [[nodiscard]] std::string weights(const std::string& name, int step) const {
    return promised_bytes(tiny_.checkpoint(name, step)).at("model-00000-of-00001.safetensors");
  }

  [[nodiscard]] std::filesystem::path exported(const std::string& name) const {
    std::filesystem::path file = folder_.path() / (name + ".safetensors");
    const Outcome outcome = run({SBM_PROGRAM, "checkpoint", "export",
                                 tiny_.run_folder(name).string(), "--out=" + file.string()});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return file;
  }

  TemporaryFolder folder_;
  TinyRun tiny_{folder_.path()};
};

TEST_F(Pretraining, HasTheSameBytesAtAnyWorldSize) {
  for (const char* whole_words : {"false", "true"}) {
    const Words words = settings(
        {std::string("--set=task.masking.whole_words=") + whole_words, "--set=training.steps=8"});
    for (const int ranks : {1, 2, 4}) {
      const Outcome outcome = run(tiny_.train(ranks, numbered(whole_words, ranks), words));
      ASSERT_EQ(outcome.code, 0) << outcome.err;
    }
    const auto expected = promised_bytes(tiny_.checkpoint(numbered(whole_words, 1), 8));
    EXPECT_EQ(expected.size(), 4U);
    for (const int ranks : {2, 4}) {
      EXPECT_EQ(promised_bytes(tiny_.checkpoint(numbered(whole_words, ranks), 8)), expected);
    }
  }
  EXPECT_NE(weights("true1", 8), weights("false1", 8));
}

TEST_F(Pretraining, GoesOnInMidEpochAndExactlyAtItsEnd) {
  const Outcome inspected = run({SBM_PROGRAM, "data", "inspect", built("corpus"), "--json"});
  const auto samples =
      nlohmann::json::parse(inspected.out)["splits"]["train"]["samples"].get<int>();
  // The first step that ends an epoch, and one in the middle of an epoch.
  const int end = samples / std::gcd(samples, kGlobalBatch);
  ASSERT_LT(end, 200) << samples;
  const int steps = end + 3;
  const std::string length = "--set=training.steps=" + std::to_string(steps);
  ASSERT_EQ(run(tiny_.train(1, "straight", settings({length}))).code, 0);
  const auto expected = promised_bytes(tiny_.checkpoint("straight", steps));
  ASSERT_NE(kGlobalBatch * 5 % samples, 0);
  for (const int stop : {5, end}) {
    const std::string name = numbered("stopped", stop);
    const std::string at = "--set=training.stop_at_step=" + std::to_string(stop);
    ASSERT_EQ(run(tiny_.train(2, name, settings({length, at}))).code, 75);
    const Outcome outcome = run(tiny_.train(1, name, settings({length})));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_NE(outcome.err.find("resumed     step " + std::to_string(stop)), std::string::npos);
    EXPECT_EQ(promised_bytes(tiny_.checkpoint(name, steps)), expected) << stop;
  }
}

TEST_F(Pretraining, IsEvaluatedAndPredictsNothing) {
  pretrain("mlm");
  const std::string model = "--checkpoint=" + tiny_.run_folder("mlm").string();
  Words words = {SBM_PROGRAM, "eval", model, "--split=validation", "--json", "--threads=1"};
  const Outcome alone = run(words);
  ASSERT_EQ(alone.code, 0) << alone.err;
  const auto answer = nlohmann::json::parse(alone.out);
  EXPECT_EQ(answer["task"], "pretrain/mlm");
  EXPECT_EQ(answer["metrics"]["masked_lm_loss"], answer["loss"]);
  EXPECT_TRUE(answer["metrics"]["masked_lm_accuracy"].is_number());
  EXPECT_FALSE(answer.contains("majority_share"));
  Words two = mpirun(2);
  two.insert(two.end(), words.begin(), words.end());
  EXPECT_EQ(run(two).out, alone.out);
  EXPECT_TRUE(std::filesystem::exists(tiny_.run_folder("mlm") / "report.html"));
  const Outcome refused = run({SBM_PROGRAM, "predict", model, "--split=validation"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("fills in masked tokens"), std::string::npos) << refused.err;
}

TEST_F(Pretraining, IsFineTunedFromACheckpointOrAFile) {
  pretrain("mlm");
  write_mrpc(folder_.path() / "mrpc");
  build("glue/mrpc", "mrpc", "vocab.txt", "mrpc");
  const std::string run_folder = tiny_.run_folder("mlm").string();
  const Outcome first = run(tiny_.train(2, "tuned", mrpc(run_folder)));
  ASSERT_EQ(first.code, 0) << first.err;
  for (const char* part :
       {"initialized from", "encoder.layers.{i}.attention.query.weight", "tensors there left: 5",
        "head.transform.weight", "parameters new: 5", "encoder.segment_embedding.weight"}) {
    EXPECT_NE(first.err.find(part), std::string::npos) << part << "\n" << first.err;
  }
  const std::string file = exported("mlm").string();
  ASSERT_EQ(run(tiny_.train(1, "from_file", mrpc(file))).code, 0);
  EXPECT_EQ(weights("from_file", 6), weights("tuned", 6));
  Words scratch = mrpc(file);
  scratch.back() = "--set=training.initialize_from=";
  ASSERT_EQ(run(tiny_.train(0, "scratch", scratch)).code, 0);
  EXPECT_NE(weights("scratch", 6), weights("tuned", 6));

  // A run that goes on does not look for the weights again, and notes whose they were.
  ASSERT_EQ(run(tiny_.train(1, "stopped", mrpc(file, {"--set=training.stop_at_step=3"}))).code, 75);
  std::filesystem::remove(file);
  const Outcome resumed = run(tiny_.train(2, "stopped", mrpc(file)));
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_EQ(weights("stopped", 6), weights("tuned", 6));
  std::ifstream configuration(tiny_.run_folder("stopped") / "config.textproto");
  std::stringstream text;
  text << configuration.rdbuf();
  EXPECT_NE(text.str().find("initialize_from: \"" + file + "\""), std::string::npos);
  EXPECT_NE(text.str().find("initialize_from_hash: \""), std::string::npos);
  EXPECT_EQ(text.str().find("initialize_from_hash: \"\""), std::string::npos);
}

TEST_F(Pretraining, ADryRunSaysWhatItWouldTake) {
  pretrain("mlm");
  write_mrpc(folder_.path() / "mrpc");
  build("glue/mrpc", "mrpc", "vocab.txt", "mrpc");
  const Outcome outcome =
      run(tiny_.train(2, "dry", mrpc(tiny_.run_folder("mlm").string(), {"--dry-run"})));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE((outcome.out + outcome.err).find("tensors taken: "), std::string::npos);
}

TEST_F(Pretraining, WhatDoesNotFitIsRefusedBeforeAnyStep) {
  pretrain("mlm");
  write_mrpc(folder_.path() / "mrpc");
  build("glue/mrpc", "mrpc", "vocab.txt", "mrpc");
  write_vocabulary(folder_.path() / "other.txt");
  build("glue/mrpc", "mrpc", "other.txt", "other");
  const std::string file = exported("mlm").string();
  int number = 0;
  const auto expect_refused = [&](const Words& words, const std::string& part, int code = 4) {
    const Outcome outcome = run(tiny_.train(2, numbered("refused", ++number), words));
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part << "\n" << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(tiny_.checkpoint(numbered("refused", number), 6)));
  };
  expect_refused(mrpc(file, {"--set=model.feed_forward_dim=20"}),
                 "feed_forward.hidden.weight: expected F32 [20, 16], found F32 [32, 16]");
  expect_refused(mrpc(file, {"--set=model.layers=3"}), "encoder.layers.2.attention_norm.weight");
  expect_refused(mrpc(file, {"--set=model.layers=1"}),
                 "encoder.layers.1.attention.query.weight [16, 16]: the model here has no such");
  expect_refused(mrpc(file, {"--set=model.heads=4", "--set=model.head_dim=4"}),
                 "model.heads: expected 4, found 2");
  expect_refused(mrpc(file, {"--set=data.directory=" + built("other")}),
                 "vocabulary of the data: expected XXH3-128 ");
  expect_refused(mrpc(folder_.path() / "nothing.safetensors"), "nothing.safetensors: expected");
  const std::string other_hash(32, '0');
  expect_refused(mrpc(file, {"--set=training.initialize_from_hash=" + other_hash}),
                 "expected XXH3-128 " + other_hash);
  expect_refused(mrpc("", {"--set=training.initialize_from_hash=" + other_hash}),
                 "training.initialize_from: expected", 2);

  // Damage: a checkpoint's hashes find it; a file without them must still be whole.
  flip_byte(tiny_.checkpoint("mlm", 20) / "model-00000-of-00001.safetensors", 5000);
  expect_refused(mrpc(tiny_.checkpoint("mlm", 20).string()), "damaged");
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
  expect_refused(mrpc(file), file);
}

}  // namespace
}  // namespace sbm::launch
