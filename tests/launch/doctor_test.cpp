#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/launch/process.h"

namespace sbm::launch {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Whatever the machine has, doctor names how the program was built, the GPUs and the choice.
TEST(Doctor, SaysWhatTheGpuSideHasAndWouldDo) {
  const Outcome outcome = run({SBM_PROGRAM, "doctor", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto findings = nlohmann::json::parse(outcome.out).at("findings");
  const auto text = [&](const char* subject) {
    return findings.at(subject).at("found").get<std::string>();
  };
  EXPECT_THAT(text("GPU build"), AnyOf(StartsWith("no; "), StartsWith("CUDA runtime 13.")));
  EXPECT_THAT(text("device"), StartsWith("rank 0 would compute on "));
  if (text("GPU build").starts_with("no; ")) {
    EXPECT_THAT(text("GPU"), HasSubstr("not looked for"));
    EXPECT_THAT(text("device"), HasSubstr("on the CPU: this program was built without CUDA"));
  }
  EXPECT_TRUE(findings.at("device").at("good").get<bool>());
}

}  // namespace
}  // namespace sbm::launch
