#include "distributed/checkpoint/agreement.h"

#include <fmt/format.h>

#include <exception>
#include <vector>

#include "base/error.h"

namespace sbm::distributed::checkpoint {

std::string attempt(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return text.empty() ? "an error without a message" : text;
  }
  return {};
}

void agree(Communicator& communicator, const std::string& what, const std::string& error) {
  const std::string mine = error.empty() ? std::string()
                                         : fmt::format("rank {} on {}: {}", communicator.rank(),
                                                       communicator.host(), error);
  std::string all;
  for (const std::string& text : all_gather_strings(communicator, mine)) {
    if (text.empty()) continue;
    all += all.empty() ? ": " : "; ";
    all += text;
  }
  if (!all.empty()) throw CheckpointError(what + all);
}

void agree_equal(Communicator& communicator, const std::string& what, const std::string& name,
                 const std::string& value) {
  const std::vector<std::string> values = all_gather_strings(communicator, value);
  for (std::size_t rank = 1; rank < values.size(); ++rank) {
    if (values[rank] != values[0]) {
      throw CheckpointError(
          fmt::format("{}: rank 0 and rank {} differ in their {}", what, rank, name));
    }
  }
}

}  // namespace sbm::distributed::checkpoint
