#include "distributed/stop_flag.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"
#include "tests/distributed/local_group.h"

namespace sbm::distributed {
namespace {

/// What a group of as many ranks agrees on; every rank must say the same.
StopDecision agree(const std::vector<StopRequest>& requests) {
  std::vector<StopDecision> decisions(requests.size());
  run_local_group(static_cast<int>(requests.size()), [&](Communicator& communicator) {
    const auto rank = static_cast<std::size_t>(communicator.rank());
    decisions[rank] = agree_on_stop(communicator, requests[rank]);
  });
  for (const StopDecision& decision : decisions) {
    EXPECT_EQ(decision.reason, decisions[0].reason);
    EXPECT_EQ(decision.signal, decisions[0].signal);
    EXPECT_EQ(decision.ranks, decisions[0].ranks);
  }
  return decisions[0];
}

TEST(AgreeOnStop, NobodyAsks) {
  const StopDecision decision = agree({{}, {}, {}});
  EXPECT_FALSE(decision.stop());
  EXPECT_EQ(decision.describe(), "nothing");
}

TEST(AgreeOnStop, OneRankIsEnough) {
  EXPECT_EQ(agree({{}, {.signal = SIGUSR1}, {}}).describe(), "SIGUSR1 on 1 rank");
  EXPECT_EQ(agree({{}, {.time_limit = true}}).describe(), "the time limit");
  EXPECT_EQ(agree({{.step = true}, {.step = true}}).describe(), "training.stop_at_step");
}

TEST(AgreeOnStop, SignalsComeFirst) {
  const StopDecision decision =
      agree({{.step = true}, {.signal = SIGTERM, .time_limit = true}, {.signal = SIGTERM}});
  EXPECT_EQ(decision.reason, StopReason::kSignal);
  EXPECT_EQ(decision.describe(), "SIGTERM on 2 ranks");
  EXPECT_EQ(agree({{.signal = SIGUSR1}, {.signal = SIGINT}}).signal, SIGINT);
}

TEST(AgreeOnStop, SumsTheCounts) {
  run_local_group(3, [](Communicator& communicator) {
    std::vector<std::int64_t> counts = {communicator.rank(), 10};
    EXPECT_FALSE(agree_on_stop(communicator, {}, counts).stop());
    EXPECT_EQ(counts, (std::vector<std::int64_t>{3, 30}));
  });
}

TEST(AgreeOnStop, RefusesOtherSignals) {
  const auto alone = make_single_process_communicator();
  EXPECT_THROW(agree_on_stop(*alone, {.signal = SIGHUP}), InternalError);
}

TEST(StopSignals, OnlySetAFlag) {
  const StopSignals signals;
  EXPECT_EQ(signals.received(), 0);
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT}) {
    ASSERT_EQ(raise(signal), 0);
    EXPECT_EQ(signals.received(), signal);
  }
  ASSERT_EQ(raise(SIGCONT), 0);
  EXPECT_EQ(signals.received(), SIGINT);
}

TEST(StopSignals, OneAtATimeAndAFreshStart) {
  {
    const StopSignals signals;
    EXPECT_THROW(StopSignals(), InternalError);
    ASSERT_EQ(raise(SIGUSR1), 0);
  }
  const StopSignals again;
  EXPECT_EQ(again.received(), 0);
}

TEST(StopSignals, PutTheOldHandlersBack) {
  struct sigaction before {};
  ASSERT_EQ(sigaction(SIGTERM, nullptr, &before), 0);
  {
    const StopSignals signals;
    struct sigaction during {};
    ASSERT_EQ(sigaction(SIGTERM, nullptr, &during), 0);
    EXPECT_NE(during.sa_handler, before.sa_handler);
  }
  struct sigaction after {};
  ASSERT_EQ(sigaction(SIGTERM, nullptr, &after), 0);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
}

TEST(StopSignalsDeathTest, SecondInterruptEndsTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        const StopSignals signals;
        raise(SIGINT);
        if (signals.received() == SIGINT) raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace sbm::distributed
