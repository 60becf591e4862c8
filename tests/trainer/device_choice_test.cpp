#include "trainer/device_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace sbm::trainer {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

Gpu hopper(const std::string& bus_id) { return {"H100", bus_id, 80LL << 30, 9, 0}; }

Machine machine(std::vector<Gpu> gpus) {
  Machine machine;
  machine.built_with_cuda = true;
  machine.runtime = "13.0";
  machine.driver = "13.0";
  machine.gpus = std::move(gpus);
  if (machine.gpus.empty()) machine.obstacle = "no CUDA-capable device is detected";
  return machine;
}

Machine two_gpus() { return machine({hopper("0000:1b:00.0"), hopper("0000:2b:00.0")}); }

template <typename Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(DeviceChoice, TakesTheGpuOfTheLocalRank) {
  EXPECT_EQ(choose_device(Runtime::AUTO, two_gpus(), 1).gpu, 1);
  EXPECT_EQ(choose_device(Runtime::CUDA, two_gpus(), 0).gpu, 0);
  EXPECT_THAT(choose_device(Runtime::AUTO, two_gpus(), 1).reason,
              AllOf(HasSubstr("GPU 1"), HasSubstr("H100"), HasSubstr("0000:2b:00.0")));
}

TEST(DeviceChoice, TakesTheOnlyGpuThatALauncherShows) {
  EXPECT_EQ(choose_device(Runtime::AUTO, machine({hopper("0000:2b:00.0")}), 3).gpu, 0);
}

TEST(DeviceChoice, TakesTheCpuWhenAsked) {
  EXPECT_EQ(choose_device(Runtime::CPU, two_gpus(), 0).gpu, std::nullopt);
}

// What lacks, in words of its own; AUTO says the same and goes on.
TEST(DeviceChoice, SaysWhatLacks) {
  Machine no_driver = machine({});
  no_driver.driver.clear();
  Machine old = machine({{"V100", "0000:1b:00.0", 16LL << 30, 7, 0}});
  const std::vector<std::pair<Machine, std::string>> cases = {
      {Machine{}, "built without CUDA"},
      {no_driver, "no NVIDIA driver"},
      {machine({}), "no GPU was found (no CUDA-capable device is detected)"},
      {old, "V100 has compute capability 7.0, below the 8.0 of the kernels"}};
  for (const auto& [found, words] : cases) {
    EXPECT_THAT(error_of([&] { choose_device(Runtime::CUDA, found, 0); }),
                AllOf(HasSubstr("runtime.device"), HasSubstr(words)));
    const DeviceChoice choice = choose_device(Runtime::AUTO, found, 0);
    EXPECT_EQ(choice.gpu, std::nullopt);
    EXPECT_THAT(choice.reason, AllOf(HasSubstr("on the CPU"), HasSubstr(words)));
  }
}

TEST(DeviceChoice, SaysWhyTheCpu) {
  EXPECT_EQ(cpu_reason(two_gpus()),
            "this version computes on the CPU: training on GPUs is not there yet");
  EXPECT_THAT(cpu_reason(machine({})), HasSubstr("no GPU was found"));
  EXPECT_THAT(cpu_reason(Machine{}), HasSubstr("built without CUDA"));
}

TEST(DeviceChoice, RefusesTwoRanksOnOneGpu) {
  const std::string error = error_of([] {
    require_own_gpus({{"a", "0000:1b:00.0", ""},
                      {"b", "0000:1b:00.0", ""},
                      {"a", "0000:2b:00.0", ""},
                      {"b", "0000:1b:00.0", ""}});
  });
  EXPECT_THAT(error, AllOf(HasSubstr("ranks 1 and 3 on host b"), HasSubstr("0000:1b:00.0"),
                           HasSubstr("NCCL_HOSTID"), HasSubstr("runtime.device to CPU")));
}

TEST(DeviceChoice, LetsRanksShareAGpuThatNcclTakesForTwo) {
  EXPECT_NO_THROW(require_own_gpus({{"a", "0000:1b:00.0", "x"}, {"a", "0000:1b:00.0", "y"}}));
  EXPECT_THAT(error_of([] {
                require_own_gpus({{"a", "0000:1b:00.0", "x"}, {"a", "0000:1b:00.0", "x"}});
              }),
              HasSubstr("ranks 0 and 1 on host a"));
}

TEST(DeviceChoice, RefusesAMixOfCpusAndGpus) {
  for (const bool first : {true, false}) {
    std::vector<RankDevice> ranks = {{"a", "0000:1b:00.0", ""}, {"b", "", ""}};
    if (!first) std::swap(ranks[0], ranks[1]);
    EXPECT_THAT(error_of([&] { require_own_gpus(ranks); }),
                AllOf(HasSubstr(first ? "rank 0 on a with GPU" : "rank 1 on a with GPU"),
                      HasSubstr(first ? "rank 1 on b without" : "rank 0 on b without")));
  }
  EXPECT_NO_THROW(require_own_gpus({{"a", "", ""}, {"a", "", ""}}));
}

TEST(DeviceChoice, OfOneRankIsItsOwn) {
  const auto alone = distributed::make_single_process_communicator();
  EXPECT_EQ(agree_on_device(*alone, Runtime::AUTO, two_gpus()).gpu, 0);
  EXPECT_EQ(agree_on_device(*alone, Runtime::AUTO, Machine{}).gpu, std::nullopt);
  EXPECT_THAT(error_of([&] { agree_on_device(*alone, Runtime::CUDA, Machine{}); }),
              HasSubstr("built without CUDA"));
}

}  // namespace
}  // namespace sbm::trainer
