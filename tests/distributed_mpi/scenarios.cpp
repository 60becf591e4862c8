#include "tests/distributed_mpi/scenarios.h"

#include <signal.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "base/error.h"

namespace sbm::distributed {
namespace {

void wait_for_ever() {
  for (;;) pause();
}

}  // namespace

int play_scenario(std::string_view name, Communicator& communicator) {
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
