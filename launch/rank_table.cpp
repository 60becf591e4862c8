#include "launch/rank_table.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "launch/version.h"

namespace sbm::launch {

int usable_processors() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

std::string rank_table(distributed::Communicator& communicator, int threads) {
  const int processors = usable_processors();
  const std::string version = short_version_text();
  const std::vector<std::string> versions = distributed::all_gather_strings(communicator, version);
  const std::vector<std::string> lines = distributed::all_gather_strings(
      communicator, fmt::format("{:<6}{:<24}{:>8}{:>12}  {}\n", communicator.rank(),
                                communicator.host(), threads, processors, version));
  const std::vector<std::string> crowded = distributed::all_gather_strings(
      communicator, threads > processors ? std::to_string(communicator.rank()) : std::string());
  std::string table = fmt::format("{:<6}{:<24}{:>8}{:>12}  {}\n", "rank", "host", "threads",
                                  "processors", "version");
  for (const std::string& line : lines) table += line;
  for (std::size_t rank = 0; rank < versions.size(); ++rank) {
    if (versions[rank] != versions[0]) {
      table += fmt::format("warning: rank {} runs another version than rank 0\n", rank);
    }
    if (!crowded[rank].empty()) {
      table += fmt::format(
          "warning: rank {} has more threads than processors it may use; start mpirun with "
          "--bind-to none, or set runtime.threads\n",
          rank);
    }
  }
  table.pop_back();
  return table;
}

}  // namespace sbm::launch
