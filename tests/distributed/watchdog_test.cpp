#include "distributed/watchdog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "base/error.h"

namespace sbm::distributed {
namespace {

using std::chrono::milliseconds;

TEST(Watchdog, ReportsTheLastSignOfLife) {
  std::promise<Watchdog::Silence> reported;
  Watchdog dog(milliseconds(20), milliseconds(10),
               [&](const Watchdog::Silence& silence) { reported.set_value(silence); });
  dog.beat(41, "forward");
  dog.beat(42, "reduce");
  const Watchdog::Silence silence = reported.get_future().get();
  EXPECT_EQ(silence.step, 42);
  EXPECT_EQ(silence.operation, "reduce");
  EXPECT_GE(silence.time, milliseconds(30));
}

TEST(Watchdog, CallsTheHandlerOnce) {
  std::atomic<int> calls = 0;
  {
    Watchdog dog(milliseconds(1), milliseconds(0), [&](const Watchdog::Silence&) { ++calls; });
    while (calls == 0) std::this_thread::yield();
    dog.beat(1, "after the end");
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(calls, 1);
}

TEST(Watchdog, IsSilentWhileThereIsLifeAndEndsAtOnce) {
  std::atomic<int> calls = 0;
  {
    Watchdog dog(std::chrono::minutes(5), milliseconds(0),
                 [&](const Watchdog::Silence&) { ++calls; });
    for (int step = 0; step < 1000; ++step) dog.beat(step, "step");
  }
  EXPECT_EQ(calls, 0);
}

TEST(Watchdog, RefusesWhatCannotBe) {
  const auto nothing = [](const Watchdog::Silence&) {};
  EXPECT_THROW(Watchdog(milliseconds(0), milliseconds(1), nothing), InternalError);
  EXPECT_THROW(Watchdog(milliseconds(1), milliseconds(-1), nothing), InternalError);
  EXPECT_THROW(Watchdog(milliseconds(1), milliseconds(1), nullptr), InternalError);
}

}  // namespace
}  // namespace sbm::distributed
