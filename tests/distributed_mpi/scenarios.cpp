#include "tests/distributed_mpi/scenarios.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "tests/distributed_mpi/stand_in_group.h"
#include "tests/distributed_mpi/world.h"

namespace sbm::distributed {
namespace {

void wait_for_ever() {
  for (;;) pause();
}

/// The same over NCCL on stand-ins; true when `name` is one of these.
bool start_nccl_scenario(std::string_view name, std::optional<StandInGroup>& group) {
  const bool culprit = world().rank() == 1;
  if (name == "nccl-error") {
    group.emplace(1, culprit ? StandInFaults{.async_error_at = 3} : StandInFaults{});
  } else if (name == "nccl-hang") {
    group.emplace(1);
    world().barrier()->wait();
    group->communicator->set_timeout(std::chrono::seconds(1));
    if (culprit) wait_for_ever();
  } else {
    return false;
  }
  return true;
}

int play_nccl_scenario(StandInGroup& group) {
  group.communicator->set_step(9);
  const TestBuffer<std::int64_t> one(*group.memory, std::vector<std::int64_t>{1});
  try {
    for (;;) {
      group.communicator->all_reduce_sum(one.span())->wait_in_stream();
      group.communicator->synchronize();
    }
  } catch (const CommunicationError& error) {
    // As launch/ does: later ranks let rank 0 speak.
    if (world().rank() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    std::cerr << error.what() << std::endl;
    group.communicator->abort(6);
  }
}

}  // namespace

int play_scenario(std::string_view name, Communicator& communicator) {
  std::optional<StandInGroup> group;
  if (start_nccl_scenario(name, group)) return play_nccl_scenario(*group);
  communicator.barrier()->wait();
  const bool culprit = communicator.rank() == 1;
  if (name == "abort") {
    if (culprit) communicator.abort(42);
  } else if (name == "unwind") {
    if (culprit) throw DataError("a shard is damaged");
  } else if (name == "hang") {
    if (culprit) wait_for_ever();
    communicator.set_timeout(std::chrono::seconds(1));
  } else if (name == "kill") {
    if (culprit) kill(getpid(), SIGKILL);
  } else {
    throw ConfigError("no scenario " + std::string(name));
  }
  try {
    std::int64_t value = 1;
    communicator.all_reduce_sum(std::span(&value, 1))->wait();
  } catch (const CommunicationError& error) {
    std::cerr << error.what() << std::endl;
    communicator.abort(6);
  }
  return 0;
}

}  // namespace sbm::distributed
