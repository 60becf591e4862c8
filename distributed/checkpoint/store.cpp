#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "distributed/checkpoint/agreement.h"
#include "distributed/checkpoint/checkpoint.h"
#include "distributed/checkpoint/checkpoint_reader.h"
#include "distributed/checkpoint/folder_names.h"
#include "distributed/checkpoint/soundness.h"

namespace sbm::distributed::checkpoint {
namespace {

std::optional<Directory> open_if_there(const std::filesystem::path& path, FileSystem& system) {
  try {
    return Directory::open(system, path);
  } catch (const FileError& error) {
    if (error.code() != ENOENT) throw;
    return std::nullopt;
  }
}

std::vector<Found> complete_in(const Directory& checkpoints) {
  std::vector<Found> found;
  for (const std::string& name : checkpoints.names()) {
    if (const auto step = parse_step_name(name)) {
      found.push_back({*step, checkpoints.path() / name});
    }
  }
  std::sort(found.begin(), found.end(),
            [](const Found& left, const Found& right) { return left.step > right.step; });
  return found;
}

void remove_leftovers(const Directory& checkpoints, std::vector<std::string>& warnings) {
  for (const std::string& name : checkpoints.names()) {
    if (!is_leftover_name(name)) continue;
    try {
      checkpoints.remove_folder(name);
    } catch (const CheckpointError& error) {
      warnings.push_back(
          fmt::format("the leftover {} could not be removed: {}", name, error.what()));
    }
  }
}

// Rank 0's part of find_newest().
std::optional<Found> choose(const std::filesystem::path& path, FileSystem& system,
                            std::vector<std::string>& warnings) {
  const auto checkpoints = open_if_there(path, system);
  if (!checkpoints) return std::nullopt;
  remove_leftovers(*checkpoints, warnings);
  std::string damages;
  for (const Found& found : complete_in(*checkpoints)) {
    const std::string damage = damage_of(*checkpoints, step_name(found.step));
    if (damage.empty()) return found;
    warnings.push_back(fmt::format("skipped {}: {}", step_name(found.step), damage));
    damages += "\n  " + damage;
  }
  for (const std::string& name : checkpoints->names()) {
    if (is_bad_name(name)) damages += "\n  " + name + " was put aside as damaged";
  }
  if (damages.empty()) return std::nullopt;
  throw CheckpointError(fmt::format("{}: no checkpoint in it is sound:{}", path.string(), damages));
}

// What is wrong with manifest or sizes; empty when nothing is.
std::string visible_damage(const Directory& checkpoints, const Found& found) {
  try {
    const CheckpointReader reader(checkpoints.open_directory(step_name(found.step)));
    return {};
  } catch (const FileError&) {
    throw;
  } catch (const CheckpointError& error) {
    return error.what();
  }
}

// What retain() would remove, and the newest checkpoint that it would keep.
struct Surplus {
  std::int64_t newest = -1;
  std::vector<std::int64_t> steps;
};

Surplus surplus_in(const Directory& checkpoints, std::int64_t keep_last,
                   std::span<const std::int64_t> protected_steps,
                   std::vector<std::string>& warnings) {
  Surplus surplus;
  std::int64_t kept = 0;
  for (const Found& found : complete_in(checkpoints)) {
    if (const std::string damage = visible_damage(checkpoints, found); !damage.empty()) {
      warnings.push_back(fmt::format("{} is damaged: {}", step_name(found.step), damage));
      continue;
    }
    if (kept == 0) surplus.newest = found.step;
    if (kept++ < keep_last) continue;
    if (std::find(protected_steps.begin(), protected_steps.end(), found.step) ==
        protected_steps.end()) {
      surplus.steps.push_back(found.step);
    }
  }
  return surplus;
}

// Rank 0's part of retain(). A crash between any two calls leaves complete checkpoints and
// leftovers, nothing else.
std::vector<std::int64_t> remove_old(const std::filesystem::path& path, std::int64_t keep_last,
                                     std::span<const std::int64_t> protected_steps,
                                     std::vector<std::string>& warnings, FileSystem& system) {
  const auto checkpoints = open_if_there(path, system);
  if (!checkpoints) return {};
  const Surplus surplus = surplus_in(*checkpoints, keep_last, protected_steps, warnings);
  if (surplus.steps.empty()) return {};
  // Sizes show no changed byte: the last sound checkpoint could be among those to go.
  if (const std::string damage = damage_of(*checkpoints, step_name(surplus.newest));
      !damage.empty()) {
    warnings.push_back(fmt::format("{} is damaged, so no older checkpoint was removed: {}",
                                   step_name(surplus.newest), damage));
    return {};
  }
  for (const std::int64_t step : surplus.steps) {
    const std::string grave = deleted_name(step);
    if (checkpoints->exists(grave)) checkpoints->remove_folder(grave);
    checkpoints->rename(step_name(step), grave);
  }
  checkpoints->sync();
  for (const std::int64_t step : surplus.steps) checkpoints->remove_folder(deleted_name(step));
  return surplus.steps;
}

// What rank 0 found out alone and tells the others.
struct Answer {
  std::vector<std::int64_t> steps;
  std::vector<std::string> warnings;
};

Answer broadcast_answer(Communicator& communicator, const Answer& mine) {
  const nlohmann::json json = {{"steps", mine.steps}, {"warnings", mine.warnings}};
  // Warnings hold names from the disk, which may be no UTF-8.
  const auto replace = nlohmann::json::error_handler_t::replace;
  const auto answer =
      nlohmann::json::parse(broadcast_string(communicator, json.dump(-1, ' ', false, replace), 0));
  return {answer["steps"].get<std::vector<std::int64_t>>(),
          answer["warnings"].get<std::vector<std::string>>()};
}

}  // namespace

std::vector<Found> list(const std::filesystem::path& checkpoints, FileSystem& system) {
  const auto folder = open_if_there(checkpoints, system);
  if (!folder) return {};
  return complete_in(*folder);
}

void verify(const std::filesystem::path& folder, FileSystem& system) {
  CheckpointReader(Directory::open(system, folder)).verify();
}

std::optional<Found> find_newest(Communicator& communicator,
                                 const std::filesystem::path& checkpoints,
                                 std::vector<std::string>& warnings, FileSystem& system) {
  std::string error;
  Answer answer;
  if (communicator.rank() == 0) {
    error = attempt([&] {
      const auto found = choose(checkpoints, system, answer.warnings);
      if (found) answer.steps.push_back(found->step);
    });
  }
  agree(communicator, "looking for the newest checkpoint", error);
  answer = broadcast_answer(communicator, answer);
  warnings.insert(warnings.end(), answer.warnings.begin(), answer.warnings.end());
  if (answer.steps.empty()) return std::nullopt;
  return Found{answer.steps.front(), checkpoints / step_name(answer.steps.front())};
}

std::vector<std::int64_t> retain(Communicator& communicator,
                                 const std::filesystem::path& checkpoints, std::int64_t keep_last,
                                 std::span<const std::int64_t> protected_steps,
                                 std::vector<std::string>& warnings, FileSystem& system) {
  if (keep_last < 1) throw InternalError("checkpoint: keep_last must be at least 1");
  std::string error;
  Answer answer;
  if (communicator.rank() == 0) {
    error = attempt([&] {
      answer.steps = remove_old(checkpoints, keep_last, protected_steps, answer.warnings, system);
    });
  }
  agree(communicator, "removing old checkpoints", error);
  answer = broadcast_answer(communicator, answer);
  warnings.insert(warnings.end(), answer.warnings.begin(), answer.warnings.end());
  return answer.steps;
}

}  // namespace sbm::distributed::checkpoint
