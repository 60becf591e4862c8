#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace sbm::distributed {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

struct Ending {
  int exit_code = -1;
  std::string output;
};

/// Plays a scenario of tests/distributed_mpi with three real ranks. A job that hangs is ended by
/// mpirun, with exit code 110. Open MPI never frees all of its memory, which a leak check would
/// turn into an exit code of its own.
Ending play(const std::string& scenario) {
  const std::string command =
      "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
      "OMPI_MCA_btl_vader_single_copy_mechanism=none LSAN_OPTIONS=detect_leaks=0 '" SBM_MPIEXEC
      "' --timeout 100 --oversubscribe --bind-to none -n 3 '" SBM_MPI_TESTS "' --scenario=" +
      scenario + " 2>&1";
  Ending ending;
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return ending;
  std::array<char, 4096> buffer{};
  while (const std::size_t read = fread(buffer.data(), 1, buffer.size(), pipe)) {
    ending.output.append(buffer.data(), read);
  }
  const int status = pclose(pipe);
  if (WIFEXITED(status)) ending.exit_code = WEXITSTATUS(status);
  return ending;
}

TEST(JobEnd, AbortEndsEveryRankWithItsCode) { EXPECT_EQ(play("abort").exit_code, 42); }

TEST(JobEnd, AnErrorThatUnwindsEndsTheOthersToo) {
  const Ending ending = play("unwind");
  EXPECT_EQ(ending.exit_code, 3) << ending.output;
  EXPECT_THAT(ending.output, HasSubstr("a shard is damaged"));
}

TEST(JobEnd, AHangingPeerIsReportedByTheOthers) {
  const Ending ending = play("hang");
  EXPECT_EQ(ending.exit_code, 6) << ending.output;
  EXPECT_THAT(ending.output,
              ContainsRegex("all_reduce_sum on rank [02] of 3 .host .* waited 1.* s without"));
}

TEST(JobEnd, AnErrorOfNcclIsOneMessageForAllRanks) {
  const Ending ending = play("nccl-error");
  EXPECT_EQ(ending.exit_code, 6) << ending.output;
  const std::string message = "all_reduce_sum on rank 1 of 3 (host ";
  const auto first = ending.output.find(message);
  ASSERT_NE(first, std::string::npos) << ending.output;
  EXPECT_THAT(ending.output, ContainsRegex("step 9\\): .*system error"));
  EXPECT_EQ(ending.output.find(message, first + 1), std::string::npos) << ending.output;
}

TEST(JobEnd, APeerThatHangsBesideNcclIsReportedByTheOthers) {
  const Ending ending = play("nccl-hang");
  EXPECT_EQ(ending.exit_code, 6) << ending.output;
  EXPECT_THAT(ending.output, ContainsRegex("on rank [02] of 3 .host .*, step 9. waited 1.* s "
                                           "without an answer"));
}

TEST(JobEnd, AKilledPeerEndsTheJob) { EXPECT_EQ(play("kill").exit_code, 128 + 9); }

}  // namespace
}  // namespace sbm::distributed
