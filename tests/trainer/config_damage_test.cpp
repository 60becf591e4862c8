// Configuration text that is damaged, hostile or contradicts itself: always one clear ConfigError.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/temporary_folder.h"
#include "trainer/config.h"

namespace sbm::trainer {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;
using testing::ThrowsMessage;

// The text of every field; a change of it may still be a configuration.
std::string sound_text() {
  return resolved_text(
      parse_config("task { name: \"lra/listops\" } data { directory: \"d\" }", ""));
}

// Parses and validates; what may come out is a configuration, problems or a ConfigError.
void expect_clear_answer(const std::string& text) {
  try {
    const Config config = parse_config(text, "test");
    for (const std::string& problem : config_problems(config)) {
      EXPECT_THAT(problem, AllOf(HasSubstr(": expected "), HasSubstr(", found ")));
    }
    EXPECT_EQ(resolved_text(parse_config(resolved_text(config), "again")), resolved_text(config));
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("test: "));
  }
}

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST(DamagedConfig, CutShortAnywhere) {
  const std::string text = sound_text();
  for (std::size_t end = 0; end < text.size(); end += 7) expect_clear_answer(text.substr(0, end));
}

TEST(DamagedConfig, ChangedAnywhere) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 500; ++i) {
    std::string text = sound_text();
    for (int changes = 0; changes < 3; ++changes) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    expect_clear_answer(text);
  }
}

// Each level of an unknown message takes a level of the stack.
TEST(DamagedConfig, DeepNestingIsRefused) {
  for (const char* opening : {"a {", "a <", "model { attention {", "a: [", "a: { b: <"}) {
    const std::string text = repeated(opening, 200000);
    EXPECT_THROW((void)parse_config(text, "test"), ConfigError) << opening;
  }
  EXPECT_THAT([] { (void)parse_config(repeated("a {", 200000), "test"); },
              ThrowsMessage<ConfigError>(HasSubstr("too deep")));
}

TEST(DamagedConfig, TheListOfProblemsHasAnEnd) {
  EXPECT_THAT([] { (void)parse_config(repeated("wrong: 1\n", 100000), "test"); },
              ThrowsMessage<ConfigError>(AllOf(HasSubstr("line 100:1: wrong: no such field"),
                                               HasSubstr("and 99900 more"),
                                               testing::Not(HasSubstr("line 101:1")))));
}

TEST(DamagedConfig, NumbersOutOfTheirTypesAreRefused) {
  for (const char* text :
       {"training { steps: 99999999999999999999 }", "training { steps: 1e3 }",
        "training { steps: 1.5 }", "model { layers: 4294967297 }", "model { layers: -2147483649 }",
        "training { seed: -1 }", "training { steps: nan }", "model { dropout: \"0.1\" }",
        "model { learned_positions: 2 }", "training { schedule: 17 }"}) {
    EXPECT_THROW((void)parse_config(text, "test"), ConfigError) << text;
  }
}

// What the types hold and no run could use.
TEST(DamagedConfig, NumbersThatAreNoneAndEndlessOnesAreProblems) {
  for (const char* field :
       {"model.dropout", "model.embedding_std", "model.attention.exploration",
        "model.attention.probe_rate", "model.attention.density_weight", "model.attention.dropout",
        "model.attention.dense_from", "training.learning_rate", "training.weight_decay",
        "training.clip_norm", "training.adam_beta1", "training.adam_beta2", "training.adam_epsilon",
        "runtime.time_limit_minutes"}) {
    for (const char* value : {"nan", "inf", "-inf", "-1", "-1e300"}) {
      Config config = parse_config("task { name: \"lra/listops\" }", "test");
      ASSERT_THAT(apply_overrides(config, std::vector{std::string(field) + "=" + value}),
                  testing::IsEmpty());
      EXPECT_THAT(config_problems(config), testing::Contains(testing::StartsWith(field)))
          << field << " " << value;
    }
  }
  Config config = parse_config("task { name: \"pretrain/mlm\" masking { share: nan } }", "test");
  EXPECT_THAT(config_problems(config),
              testing::Contains(testing::StartsWith("task.masking.share")));
}

TEST(DamagedConfig, FieldsThatContradictThemselvesAreRefused) {
  EXPECT_THAT([] { (void)parse_config("training { steps: 1 steps: 2 }", "test"); },
              ThrowsMessage<ConfigError>(HasSubstr("steps")));
  EXPECT_THAT([] { (void)parse_config("training { steps: 1 } training { seed: 2 }", "test"); },
              ThrowsMessage<ConfigError>(HasSubstr("training")));
}

TEST(DamagedConfig, BytesThatAreNoTextAreRefusedOrKept) {
  for (const std::string& text :
       {std::string("task { name: \"lra/listops\" }\0", 29), std::string("\xff\xfe"),
        std::string(1000, '\0'), std::string("\xef\xbb\xbftask { }"),
        std::string("task { name: \"")}) {
    expect_clear_answer(text);
  }
  // Names of files are bytes.
  const Config config = parse_config("data { directory: \"\xff\xc0\" }", "test");
  EXPECT_EQ(config.data().directory(), "\xff\xc0");
  EXPECT_EQ(parse_config(resolved_text(config), "again").data().directory(), "\xff\xc0");
}

TEST(DamagedConfig, FilesWithoutEndAreRefused) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "large.textproto";
  std::ofstream(file) << "# ";
  std::filesystem::resize_file(file, std::uintmax_t{1} << 40);  // of holes
  EXPECT_THAT([&] { (void)load_config(file, {}); },
              ThrowsMessage<ConfigError>(HasSubstr("expected a configuration of at most")));
  EXPECT_THROW((void)load_config("/dev/zero", {}), ConfigError);
}

}  // namespace
}  // namespace sbm::trainer
