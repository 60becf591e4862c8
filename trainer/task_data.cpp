#include "trainer/task_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <system_error>

#include "base/error.h"
#include "trainer/config.h"
#include "trainer/config_fields.h"
#include "trainer/nearest_name.h"
#include "trainer/run_folder.h"
#include "trainer/task_fields.h"

namespace sbm::trainer {
namespace {

constexpr std::chrono::seconds kProgressInterval{10};

/// Ends a build that nobody waits for any more.
struct GivenUp : std::exception {};

data::PathfinderLevel pathfinder_level(PathfinderData::Level level) {
  switch (level) {
    case PathfinderData::EASY:
      return data::PathfinderLevel::kEasy;
    case PathfinderData::INTERMEDIATE:
      return data::PathfinderLevel::kIntermediate;
    case PathfinderData::HARD:
      return data::PathfinderLevel::kHard;
  }
  throw InternalError("no such level of Pathfinder");
}

// A line now and then: a build of many samples takes longer than people wait for a sign of life.
std::function<void(const data::BuildProgress&)> plain_progress(
    const std::function<void(const std::string&)>& message) {
  return
      [&message, said = std::chrono::steady_clock::now()](const data::BuildProgress& done) mutable {
        const auto now = std::chrono::steady_clock::now();
        if (now - said < kProgressInterval) return;
        said = now;
        message(done.total == 0 ? fmt::format("generated {} samples", done.samples)
                                : fmt::format("generated {} of {} samples ({} %)", done.samples,
                                              done.total, 100 * done.samples / done.total));
      };
}

}  // namespace

std::filesystem::path generated_data_root(const std::filesystem::path& run_directory) {
  return plain_path(std::filesystem::absolute(run_directory)).parent_path() / "datasets";
}

data::BuildRequest build_request(const Config& config) {
  data::BuildRequest request;
  request.task = config.task().name();
  const ListOpsData& listops = config.data().listops();
  request.listops = {.train_samples = listops.train_samples(),
                     .validation_samples = listops.validation_samples(),
                     .test_samples = listops.test_samples(),
                     .max_depth = listops.max_depth(),
                     .max_arguments = listops.max_arguments(),
                     .min_length = listops.min_length(),
                     .max_length = listops.max_length(),
                     .seed = listops.seed()};
  const RepeatedTokensData& repeated = config.data().repeated_tokens();
  request.repeated_tokens = {.train_samples = repeated.train_samples(),
                             .validation_samples = repeated.validation_samples(),
                             .test_samples = repeated.test_samples(),
                             .length = repeated.length(),
                             .seed = repeated.seed()};
  const TextData& text = config.data().text();
  request.text = {.validation_share = text.validation_share(),
                  .validation_is_test = text.validation_is_test()};
  if (request.task == "lra/text") request.seed = text.seed();
  const PathfinderData& pathfinder = config.data().pathfinder();
  request.pathfinder = {.level = pathfinder_level(pathfinder.level()),
                        .train_samples = pathfinder.train_samples(),
                        .validation_samples = pathfinder.validation_samples(),
                        .test_samples = pathfinder.test_samples()};
  if (request.task.starts_with("lra/pathfinder")) request.seed = pathfinder.seed();
  const MaskedLanguageData& masked = config.data().masked_language();
  request.masked_language = {.validation_share = masked.validation_share(),
                             .short_share = masked.short_share()};
  if (request.task == "pretrain/mlm") request.seed = masked.seed();
  return request;
}

std::vector<std::string> build_fields(const std::string& task) {
  std::vector<std::string> fields;
  for (const FieldValue& field : list_fields(Config())) {
    if (field.path.starts_with("data.") && field.path != "data.directory" &&
        !is_foreign_field(task, field.path)) {
      fields.push_back(field.path);
    }
  }
  return fields;
}

std::vector<std::string> apply_build_overrides(Config& config,
                                               std::span<const std::string> overrides) {
  const std::string& task = config.task().name();
  const std::vector<std::string> fields = build_fields(task);
  std::vector<std::string> problems;
  for (const std::string& text : overrides) {
    const std::string path = text.substr(0, text.find('='));
    const bool taken = std::ranges::find(fields, path) != fields.end();
    const bool known = std::ranges::any_of(
        list_fields(config), [&](const FieldValue& field) { return field.path == path; });
    if (taken || !known) {
      const std::vector<std::string> more = apply_overrides(config, std::span(&text, 1));
      problems.insert(problems.end(), more.begin(), more.end());
    } else if (fields.empty()) {
      problems.push_back("--set " + path + ": expected no field, as " + task + " takes none");
    } else {
      problems.push_back("--set " + path + ": expected a field that " + task + " takes, " +
                         list_names(fields) + suggestion(path, fields));
    }
  }
  return problems;
}

std::filesystem::path prepare_data(distributed::Communicator& communicator, const Config& config,
                                   const std::filesystem::path& generated_root,
                                   const std::function<void(const std::string&)>& message) {
  return *prepare_data_unless(communicator, config, generated_root, message, [] { return false; });
}

std::optional<std::filesystem::path> prepare_data_unless(
    distributed::Communicator& communicator, const Config& config,
    const std::filesystem::path& generated_root,
    const std::function<void(const std::string&)>& message, const std::function<bool()>& give_up) {
  if (!config.data().directory().empty()) return config.data().directory();
  data::BuildRequest request = build_request(config);
  request.out = generated_root / data::default_folder_name(request);
  // Rank 0 builds; its answer is a message, so that a failure ends every rank with the same words.
  std::string problem;
  if (communicator.rank() == 0) {
    try {
      std::error_code ignored;  // the build says what is wrong with the place
      if (!std::filesystem::exists(request.out, ignored)) {
        message(fmt::format("generating the data of {} in {}", request.task, request.out.string()));
      }
      data::build_dataset(
          request, [&, tell = plain_progress(message)](const data::BuildProgress& done) mutable {
            if (give_up()) throw GivenUp();
            tell(done);
          });
    } catch (const GivenUp&) {
      problem = "g";
    } catch (const ConfigError& error) {
      problem = std::string("c") + error.what();
    } catch (const Error& error) {
      problem = std::string("d") + error.what();
    }
  }
  // The first letter carries the kind of the error.
  problem = distributed::broadcast_string(communicator, problem, 0);
  if (problem.starts_with('g')) return std::nullopt;
  if (problem.starts_with('c')) throw ConfigError(problem.substr(1));
  if (problem.starts_with('d')) throw DataError(problem.substr(1));
  return request.out;
}

}  // namespace sbm::trainer
