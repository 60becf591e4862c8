// The program that computes on GPUs too, where it is to compute on the CPU.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/launch/tiny_run.h"

namespace sbm::launch {
namespace {

TEST(CudaProgram, TrainsOnTheCpuWithTheBitsOfTheCpuProgram) {
  if (!std::filesystem::exists(SBM_CPU_PROGRAM)) {
    GTEST_SKIP() << "the CPU program is not built: expected " << SBM_CPU_PROGRAM;
  }
  const TemporaryFolder folder;
  const TinyRun tiny(folder.path());
  const std::vector<std::string> options = {"--set=training.stop_at_step=20",
                                            "--set=runtime.device=CPU"};
  for (const int ranks : {0, 2}) {
    std::string suffix("_");
    suffix += std::to_string(ranks);
    const std::vector<std::string> command = tiny.train(ranks, "cuda" + suffix, options);
    const Outcome outcome = run(command);
    ASSERT_EQ(outcome.code, 75) << outcome.err;
    std::vector<std::string> of_cpu = tiny.train(ranks, "cpu" + suffix, options);
    std::replace(of_cpu.begin(), of_cpu.end(), std::string(SBM_PROGRAM),
                 std::string(SBM_CPU_PROGRAM));
    ASSERT_NE(of_cpu, command);
    const Outcome expected = run(of_cpu);
    ASSERT_EQ(expected.code, 75) << expected.err;
    const auto bytes = promised_bytes(tiny.checkpoint("cuda" + suffix, 20));
    ASSERT_EQ(bytes.size(), 4U);
    EXPECT_EQ(bytes, promised_bytes(tiny.checkpoint("cpu" + suffix, 20))) << ranks << " ranks";
  }
}

}  // namespace
}  // namespace sbm::launch
