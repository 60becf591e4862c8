#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.h"
#include "distributed/mpi_environment.h"
#include "tests/distributed_mpi/scenarios.h"
#include "tests/distributed_mpi/world.h"

namespace sbm::distributed {
namespace {

std::unique_ptr<Communicator> the_world;

/// What the other ranks print: failures, with their rank. Rank 0 prints as ever.
class FailuresOnly final : public testing::EmptyTestEventListener {
 public:
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::cerr << "rank " << the_world->rank() << ", "
              << (test == nullptr ? "outside of a test" : test->name()) << ": "
              << (result.file_name() == nullptr ? "?" : result.file_name()) << ":"
              << result.line_number() << ": " << result.message() << std::endl;
  }
};

int run_tests() {
  if (the_world->rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailuresOnly);
  }
  std::int64_t failed = RUN_ALL_TESTS();
  the_world->all_reduce_sum(std::span(&failed, 1))->wait();
  return failed == 0 ? 0 : 1;
}

/// What launch/ does in the program: an error of this rank's own becomes its exit code, and leaves
/// MPI alone.
int run(int count, char** arguments) {
  const MpiEnvironment environment;
  the_world = environment.world();
  the_world->set_timeout(std::chrono::seconds(60));
  constexpr std::string_view kScenario = "--scenario=";
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument.starts_with(kScenario)) {
      return play_scenario(argument.substr(kScenario.size()), *the_world);
    }
  }
  const int result = run_tests();
  the_world.reset();
  return result;
}

}  // namespace

Communicator& world() { return *the_world; }

}  // namespace sbm::distributed

int main(int count, char** arguments) {
  testing::InitGoogleTest(&count, arguments);
  try {
    return sbm::distributed::run(count, arguments);
  } catch (const sbm::Error& error) {
    std::cerr << error.what() << std::endl;
    return 3;
  }
}
