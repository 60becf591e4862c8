#include "trainer/run_start.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "distributed/checkpoint/checkpoint.h"
#include "trainer/config.h"

namespace sbm::trainer {
namespace {

namespace checkpoint = distributed::checkpoint;

}  // namespace

void require_equal_configurations(distributed::Communicator& communicator, const Config& config) {
  const std::vector<std::string> texts =
      distributed::all_gather_strings(communicator, resolved_text(config));
  for (std::size_t rank = 1; rank < texts.size(); ++rank) {
    if (texts[rank] == texts[0]) continue;
    throw ConfigError(fmt::format(
        "rank {} has another configuration than rank 0: expected the same file and --set on every "
        "rank",
        rank));
  }
}

std::optional<std::filesystem::path> choose_checkpoint(distributed::Communicator& communicator,
                                                       const TrainRequest& request,
                                                       const RunFolder& folder,
                                                       std::vector<std::string>& warnings) {
  if (request.resume == Resume::kPath) {
    // Going back in a run that has gone on would mix two histories in one folder.
    const std::vector<checkpoint::Found> present = checkpoint::list(folder.checkpoints());
    if (!present.empty() && present.front().step > checkpoint::inspect(request.resume_path).step) {
      throw ConfigError(fmt::format(
          "{}: holds a checkpoint of step {}, newer than --resume {}; name "
          "another --run-dir to go on from the older one",
          folder.checkpoints().string(), present.front().step, request.resume_path.string()));
    }
    return request.resume_path;
  }
  if (request.resume == Resume::kNone) {
    const bool some = !checkpoint::list(folder.checkpoints()).empty();
    if (some) {
      throw ConfigError(folder.checkpoints().string() +
                        ": holds checkpoints, and --resume none would start over; name another "
                        "--run-dir or remove them");
    }
    return std::nullopt;
  }
  const auto found = checkpoint::find_newest(communicator, folder.checkpoints(), warnings);
  if (!found) return std::nullopt;
  return found->folder;
}

void require_same_run(const std::filesystem::path& folder, const Config& config) {
  const std::vector<ConfigDifference> differences =
      compare_for_resume(checkpoint::inspect(folder).configuration, folder.string(), config);
  if (differences.empty()) return;
  std::string text = folder.string() +
                     ": a run that goes on keeps the configuration it began with; different now:";
  for (const ConfigDifference& difference : differences) {
    text += fmt::format("\n  {}: {} before, {} now", difference.path, difference.before,
                        difference.after);
  }
  throw ConfigError(text + "\nName another --run-dir for another experiment.");
}

std::string warn_of_other_threads(distributed::Communicator& communicator,
                                  const std::filesystem::path& folder) {
  std::set<std::string> before;
  const std::string writer = checkpoint::inspect(folder).writer;
  try {
    const auto all = nlohmann::json::parse(writer).value("ranks", nlohmann::json::array());
    for (const auto& rank : all) before.insert(rank.value("threads", nlohmann::json()).dump());
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(fmt::format("{}: expected a list of ranks with their threads: {}",
                                      (folder / "writer.json").string(), error.what()));
  }
  const std::vector<std::string> threads =
      distributed::all_gather_strings(communicator, std::to_string(at::get_num_threads()));
  const std::set<std::string> now(threads.begin(), threads.end());
  if (before == now) return {};
  return fmt::format(
      "threads a rank were {} when {} was written and are {} now: the bits will differ from those "
      "of a run that kept them (runtime.threads)",
      fmt::join(before, ", "), folder.string(), fmt::join(now, ", "));
}

}  // namespace sbm::trainer
