#include "trainer/task_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/build.h"

namespace sbm::trainer {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> problems(const std::string& task, std::vector<std::string> overrides) {
  Config config;
  config.mutable_task()->set_name(task);
  return apply_build_overrides(config, overrides);
}

TEST(BuildFields, AreThoseOfTheTask) {
  EXPECT_THAT(build_fields("lra/listops"),
              AllOf(Contains("data.listops.max_depth"), Each(StartsWith("data.listops."))));
  EXPECT_THAT(build_fields("synthetic/repeated-tokens"),
              AllOf(Contains("data.repeated_tokens.length"), Not(Contains("data.directory"))));
}

TEST(BuildRequest, TakesTheFieldsOfTheTask) {
  Config config;
  config.mutable_task()->set_name("lra/pathfinder128");
  config.mutable_data()->mutable_pathfinder()->set_level(PathfinderData::INTERMEDIATE);
  config.mutable_data()->mutable_pathfinder()->set_seed(3);
  config.mutable_data()->mutable_text()->set_seed(4);
  config.mutable_data()->mutable_text()->set_validation_is_test(true);
  EXPECT_EQ(build_request(config).pathfinder.level, data::PathfinderLevel::kIntermediate);
  EXPECT_EQ(build_request(config).seed, 3U);
  config.mutable_task()->set_name("lra/text");
  EXPECT_EQ(build_request(config).seed, 4U);
  EXPECT_TRUE(build_request(config).text.validation_is_test);
  config.mutable_data()->mutable_masked_language()->set_seed(5);
  config.mutable_data()->mutable_masked_language()->set_short_share(0.5);
  config.mutable_task()->set_name("pretrain/mlm");
  EXPECT_EQ(build_request(config).seed, 5U);
  EXPECT_EQ(build_request(config).masked_language.short_share, 0.5);
  EXPECT_EQ(build_request(config).masked_language.validation_share, 0.01);
  EXPECT_THAT(build_fields("lra/pathfinder128"), Each(StartsWith("data.pathfinder.")));
}

TEST(BuildOverrides, RefuseWhatTheTaskDoesNotRead) {
  EXPECT_THAT(problems("lra/listops", {"data.listops.max_depth=4"}), IsEmpty());
  EXPECT_THAT(problems("lra/listops", {"data.repeated_tokens.seed=4", "model.heads=2"}),
              ElementsAre(AllOf(StartsWith("--set data.repeated_tokens.seed: expected a field"),
                                HasSubstr("\"data.listops.seed\"")),
                          StartsWith("--set model.heads: expected a field")));
  EXPECT_THAT(problems("lra/listops", {"data.listops.max_dept=4", "data.listops.seed"}),
              ElementsAre(HasSubstr("did you mean \"max_depth\""), HasSubstr("no \"=\"")));
  EXPECT_THAT(problems("lra/listops", {"data.listops.max_depth=deep"}),
              ElementsAre(StartsWith("--set data.listops.max_depth: expected")));
}

}  // namespace
}  // namespace sbm::trainer
