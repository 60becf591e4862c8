#include "trainer/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "data/build.h"
#include "tests/temporary_folder.h"

namespace sbm::trainer {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kSmall[] = R"(
task { name: "lra/listops" }
training { steps: 100 warmup_steps: 10 }
)";

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return {};
}

std::vector<std::string> override_problems(const std::string& text) {
  Config config = parse_config(kSmall, "test");
  return apply_overrides(config, std::vector<std::string>{text});
}

class ConfigFile : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) const {
    const std::filesystem::path file = folder_.path() / "run.textproto";
    std::ofstream(file) << text;
    return file;
  }

  TemporaryFolder folder_;
};

TEST_F(ConfigFile, LoadsDefaultsAndOverrides) {
  const std::vector<std::string> overrides = {
      "model.attention.clusters=7",  "training.seed=3",    "model.learned_positions=false",
      "model.attention.law=POISSON", "model.dropout=0.25", "data.directory=some/where"};
  const Config config = load_config(write(kSmall), overrides);
  EXPECT_EQ(config.model().attention().clusters(), 7);
  EXPECT_EQ(config.training().seed(), 3U);
  EXPECT_FALSE(config.model().learned_positions());
  EXPECT_EQ(config.model().attention().law(), Attention::POISSON);
  EXPECT_EQ(config.model().dropout(), 0.25);
  EXPECT_EQ(config.data().directory(), "some/where");
  EXPECT_EQ(config.training().steps(), 100);
  EXPECT_EQ(config.model().heads(), 2);
}

TEST_F(ConfigFile, SaysWhatIsWrongWithTheFileItself) {
  EXPECT_THAT(error_of([&] { load_config(folder_.path() / "none.textproto", {}); }),
              HasSubstr("none.textproto: expected a configuration file, found nothing there"));
  EXPECT_THAT(error_of([&] { load_config(folder_.path(), {}); }), HasSubstr("found a folder"));
  const std::string large(kLargestConfigBytes + 1, '#');
  EXPECT_THAT(error_of([&] { load_config(write(large), {}); }), HasSubstr("at most 1048576 bytes"));
}

TEST_F(ConfigFile, ReportsOverridesAndValuesTogether) {
  const std::vector<std::string> overrides = {"model.hedas=3", "model.layers=0",
                                              "training.global_batch_size=30"};
  const std::string error = error_of([&] { load_config(write(kSmall), overrides); });
  EXPECT_THAT(error,
              AllOf(HasSubstr("3 problems"), HasSubstr("--set model.hedas"),
                    HasSubstr("did you mean \"heads\"?"), HasSubstr("model.layers: expected"),
                    HasSubstr("found 0"), HasSubstr("a multiple of micro_batch_size (8)")));
}

TEST(ParseConfig, NamesLineColumnAndNearestFieldOfEachUnknownField) {
  const std::string error = error_of([] {
    parse_config("task { name: \"lra/listops\" }\nmodel {\n  hedas: 2\n  atention { clip: 1 }\n}\n",
                 "a.textproto");
  });
  EXPECT_THAT(error, AllOf(HasSubstr("a.textproto: 2 problems"),
                           HasSubstr("line 3:3: model.hedas: no such field"),
                           HasSubstr("did you mean \"heads\"?"),
                           HasSubstr("line 4:3: model.atention: no such field"),
                           HasSubstr("did you mean \"attention\"?")));
}

TEST(ParseConfig, NamesTheValuesOfAnEnum) {
  EXPECT_THAT(error_of([] { parse_config("model { attention { type: SBN } }", "a"); }),
              AllOf(HasSubstr("type: expected \"SBM\" or \"FULL\", found \"SBN\""),
                    HasSubstr("did you mean \"SBM\"?")));
}

TEST(ParseConfig, RefusesWhatIsNoProtobufText) {
  EXPECT_THAT(error_of([] { parse_config("model { layers: 2", "a"); }), HasSubstr("a: line 1:"));
  EXPECT_THAT(error_of([] { parse_config("model { layers: 2 layers: 3 }", "a"); }),
              HasSubstr("specified multiple times"));
  EXPECT_THAT(error_of([] { parse_config("model { layers: \"two\" }", "a"); }),
              HasSubstr("line 1:17"));
}

TEST(Overrides, SayPathExpectationAndFinding) {
  EXPECT_THAT(override_problems("model.layers"),
              ElementsAre(HasSubstr("expected path.to.field=value, found no \"=\"")));
  EXPECT_THAT(override_problems("model.layers=two"),
              ElementsAre("--set model.layers: expected a whole number of 32 bits, found \"two\""));
  EXPECT_THAT(override_problems("model.layers=3.5"), ElementsAre(HasSubstr("found \"3.5\"")));
  EXPECT_THAT(override_problems("model.layers=99999999999"),
              ElementsAre(HasSubstr("found \"99999999999\"")));
  EXPECT_THAT(override_problems("training.seed=-1"),
              ElementsAre(HasSubstr("from 0 on of 64 bits, found \"-1\"")));
  EXPECT_THAT(override_problems("model.dropout=.1x"), ElementsAre(HasSubstr("expected a number")));
  EXPECT_THAT(override_problems("model.learned_positions=yes"),
              ElementsAre(HasSubstr("expected true or false, found \"yes\"")));
  EXPECT_THAT(override_problems("model.attention.estimator=PAPR"),
              ElementsAre(AllOf(HasSubstr("expected \"PAPER\", \"REFERENCE\" or \"TRAPEZOID\""),
                                HasSubstr("did you mean \"PAPER\"?"))));
  EXPECT_THAT(override_problems("training.learning_rat=1"),
              ElementsAre(AllOf(HasSubstr("below \"training\" one of \"steps\""),
                                HasSubstr("did you mean \"learning_rate\"?"))));
  EXPECT_THAT(override_problems("model=1"), ElementsAre(HasSubstr("found a group of fields")));
  EXPECT_THAT(override_problems("model.layers.more=1"),
              ElementsAre(HasSubstr("\"layers\" is a single field")));
  EXPECT_THAT(override_problems("=1"), ElementsAre(HasSubstr("no such field")));
}

TEST(Validation, AcceptsEveryConfigurationOfTheTree) {
  const std::filesystem::path folder = std::filesystem::path(SBM_SOURCE_DIR) / "configs";
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    EXPECT_NO_THROW(static_cast<void>(load_config(entry.path().string(), {}))) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 19);
}

TEST(Validation, AcceptsTheDefaultsOfEveryTask) {
  for (const std::string& task : known_tasks()) {
    Config config;
    config.mutable_task()->set_name(task);
    config.mutable_data()->set_directory("built");
    EXPECT_THAT(config_problems(config), IsEmpty());
    config.mutable_data()->clear_directory();
    if (!data::is_generated(task)) {
      EXPECT_THAT(config_problems(config),
                  ElementsAre(AllOf(HasSubstr("data.directory: expected a folder"),
                                    HasSubstr("sbm data build --task " + task + " --source"),
                                    HasSubstr("published files"))));
    } else {
      EXPECT_THAT(config_problems(config), IsEmpty());
    }
  }
}

TEST(Validation, ChecksWhatPathfinderIsGeneratedFrom) {
  const Config config = parse_config(
      R"(task { name: "lra/pathfinder64" } data { pathfinder { train_samples: 0 } })", "test");
  EXPECT_THAT(config_problems(config), ElementsAre(HasSubstr("data.pathfinder.train_samples")));
}

TEST(Validation, FindsEveryProblemAtOnce) {
  Config config = parse_config(R"(
      task { name: "lra/listop" }
      model {
        layers: 0 heads: -1 head_dim: 0 embedding_dim: 0 feed_forward_dim: 0 max_length: 0
        dropout: 1 embedding_std: -1 head_hidden_dim: -1
        attention { clusters: 257 exploration: 1.5 clip: 0 probe_rate: -0.1 density_weight: nan
                    density_start_step: -1 density_ramp_steps: -1 dropout: 1 }
      }
      training { steps: 0 stop_at_step: -1 global_batch_size: 0 micro_batch_size: 0
                 learning_rate: 0 warmup_steps: 1 weight_decay: -1 clip_norm: inf
                 evaluate_every: -1 evaluation_draws: 0 early_stop_patience: -1 adam_beta1: 1
                 adam_beta2: -0.5 adam_epsilon: 0 log_every: 0 }
      checkpoint { every_steps: -1 keep_last: 0 }
      runtime { threads: -1 timeout_seconds: 0 time_limit_minutes: -1 })",
                               "test");
  const std::vector<std::string> problems = config_problems(config);
  for (const char* path : {"task.name",
                           "model.layers",
                           "model.heads",
                           "model.head_dim",
                           "model.embedding_dim",
                           "model.feed_forward_dim",
                           "model.max_length",
                           "model.dropout",
                           "model.embedding_std",
                           "model.head_hidden_dim",
                           "model.attention.clusters",
                           "model.attention.exploration",
                           "model.attention.clip",
                           "model.attention.probe_rate",
                           "model.attention.density_weight",
                           "model.attention.density_start_step",
                           "model.attention.density_ramp_steps",
                           "model.attention.dropout",
                           "training.steps",
                           "training.stop_at_step",
                           "training.global_batch_size",
                           "training.micro_batch_size",
                           "training.learning_rate",
                           "training.warmup_steps",
                           "training.weight_decay",
                           "training.clip_norm",
                           "training.evaluate_every",
                           "training.evaluation_draws",
                           "training.early_stop_patience",
                           "training.adam_beta1",
                           "training.adam_beta2",
                           "training.adam_epsilon",
                           "training.log_every",
                           "checkpoint.every_steps",
                           "checkpoint.keep_last",
                           "runtime.threads",
                           "runtime.timeout_seconds",
                           "runtime.time_limit_minutes"}) {
    EXPECT_THAT(problems, testing::Contains(testing::StartsWith(std::string(path) + ": expected")));
  }
  EXPECT_EQ(problems.size(), 38U);
  EXPECT_THAT(problems.front(), HasSubstr("did you mean \"lra/listops\"?"));
}

TEST(Validation, RefusesWhatIsNotBuiltYet) {
  Config config = parse_config(kSmall, "test");
  EXPECT_THAT(apply_overrides(config, std::vector<std::string>{"runtime.device=CUDA",
                                                               "model.attention.type=FULL",
                                                               "model.attention.dropout=0.1"}),
              IsEmpty());
  EXPECT_THAT(config_problems(config),
              ElementsAre(HasSubstr("model.attention.dropout: expected 0 with attention.type FULL"),
                          HasSubstr("runtime.device: expected AUTO or CPU, found CUDA")));
}

TEST(Validation, RoundsMembershipsOnlyWhereThereAreSomeAndOnTheCpu) {
  Config config = parse_config(kSmall, "test");
  Attention* attention = config.mutable_model()->mutable_attention();
  attention->set_bf16_memberships(true);
  EXPECT_THAT(config_problems(config), IsEmpty());
  attention->set_type(Attention::FULL);
  EXPECT_THAT(config_problems(config),
              ElementsAre(HasSubstr("model.attention.bf16_memberships: expected false with "
                                    "attention.type FULL")));
  attention->set_type(Attention::SBM);
  config.mutable_runtime()->set_device(Runtime::CUDA);
  EXPECT_THAT(config_problems(config),
              testing::Contains(HasSubstr("model.attention.bf16_memberships: expected false with "
                                          "runtime.device CUDA")));
}

TEST(Validation, LooksAtGeneratedDataOnlyWhenDataAreGenerated) {
  Config config = parse_config(kSmall, "test");
  config.mutable_data()->mutable_listops()->set_max_length(501);
  EXPECT_THAT(config_problems(config), ElementsAre(HasSubstr("data.listops.max_length")));
  config.mutable_data()->set_directory("built");
  EXPECT_THAT(config_problems(config), IsEmpty());
}

// Set for a task that does not read it, a field would be passed over in silence.
TEST(Validation, RefusesFieldsOfOtherTasks) {
  Config config = parse_config(kSmall, "test");
  config.mutable_task()->mutable_masking()->set_whole_words(true);
  config.mutable_data()->mutable_pathfinder()->set_seed(7);
  EXPECT_THAT(config_problems(config),
              ElementsAre(AllOf(HasSubstr("task.masking.whole_words: expected false or nothing"),
                                HasSubstr("for pretrain/mlm and not for lra/listops, found true")),
                          HasSubstr("data.pathfinder.seed: expected 0 or nothing")));
  // Written out with its default it is what every resolved configuration has.
  EXPECT_THAT(config_problems(parse_config(resolved_text(parse_config(kSmall, "test")), "again")),
              IsEmpty());
  config = parse_config(R"(task { name: "pretrain/mlm" masking { whole_words: true } }
                           data { directory: "built" })",
                        "test");
  EXPECT_THAT(config_problems(config), IsEmpty());
}

TEST(ResolvedText, HoldsEveryFieldAndReadsBackToItself) {
  Config config = parse_config(kSmall, "test");
  config.mutable_training()->set_learning_rate(1.0 / 3.0);
  config.mutable_data()->set_directory("with \"quotes\" and \xc3\xa4");
  const std::string text = resolved_text(config);
  EXPECT_THAT(text,
              AllOf(HasSubstr("clusters: 128"), HasSubstr("estimator: PAPER"),
                    HasSubstr("timeout_seconds: 600"), HasSubstr("validation_samples: 2000")));
  const Config again = parse_config(text, "resolved");
  EXPECT_EQ(again.training().learning_rate(), 1.0 / 3.0);
  EXPECT_EQ(again.data().directory(), config.data().directory());
  EXPECT_EQ(resolved_text(again), text);
  EXPECT_FALSE(config.training().has_log_every()) << "the argument must stay as it was";
}

TEST(CompareForResume, ListsWhatMayNotChange) {
  const Config before = parse_config(kSmall, "test");
  Config after = before;
  EXPECT_THAT(
      apply_overrides(
          after, std::vector<std::string>{"training.learning_rate=0.1", "training.stop_at_step=5",
                                          "training.evaluate_every=7", "training.log_every=3",
                                          "runtime.threads=2", "checkpoint.every_steps=1",
                                          "model.attention.law=POISSON"}),
      IsEmpty());
  const auto differences = compare_for_resume(resolved_text(before), "saved", after);
  ASSERT_EQ(differences.size(), 2U);
  EXPECT_EQ(differences[0].path, "model.attention.law");
  EXPECT_EQ(differences[0].before, "BERNOULLI");
  EXPECT_EQ(differences[0].after, "POISSON");
  EXPECT_EQ(differences[1].path, "training.learning_rate");
}

TEST(CompareForResume, TakesAFieldThatWasLeftOutForItsDefault) {
  Config now = parse_config(kSmall, "test");
  now.mutable_model()->set_layers(2);
  EXPECT_THAT(compare_for_resume(kSmall, "saved", now), IsEmpty());
  EXPECT_THAT(error_of([&] { static_cast<void>(compare_for_resume("nonsense: 1", "saved", now)); }),
              HasSubstr("saved: line 1:1"));
}

}  // namespace
}  // namespace sbm::trainer
