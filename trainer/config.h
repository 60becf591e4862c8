#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "trainer/config.pb.h"

// How a configuration comes to be: protobuf text from a file, overrides from the command line, one
// validation of the whole (design, section 3.5). Every problem names its field path, what was
// expected and what was found.
namespace sbm::trainer {

/// A configuration file is a page or two; anything near this size is not one.
inline constexpr std::uintmax_t kLargestConfigBytes = 1 << 20;

/// Parses protobuf text. `source` (a file name) opens every message. Throws ConfigError with line
/// and column of each unknown field, and the nearest known name.
Config parse_config(const std::string& text, const std::string& source);

/// Applies "path.to.field=value" in order and returns the problems; a bad one changes nothing.
std::vector<std::string> apply_overrides(Config& config, std::span<const std::string> overrides);

/// All problems of a configuration, each "path: expected ..., found ..."; empty when it can run.
std::vector<std::string> config_problems(const Config& config);

/// Throws one ConfigError that lists `problems`, opened by `source`; does nothing without any.
void throw_problems(const std::vector<std::string>& problems, const std::string& source);

/// Reads the file, applies the overrides and validates the result: all problems of the last two in
/// one ConfigError.
Config load_config(const std::filesystem::path& file, std::span<const std::string> overrides);

/// Protobuf text with every field written out in the order of config.proto: what the run folder
/// keeps. Equal configurations give equal bytes; parse_config reads it back.
std::string resolved_text(const Config& config);

/// The resolved text without what a resumed run may change: the part of a configuration that a
/// checkpoint keeps, so that its bytes do not depend on the rest.
std::string lasting_text(const Config& config);

/// A field that a resumed run asks to be different from the run it goes on with.
struct ConfigDifference {
  std::string path;
  std::string before;
  std::string after;
};

/// Fields that differ from the saved configuration `saved_text` although they must not: all but
/// runtime.*, checkpoint.*, training.stop_at_step, training.evaluate_every and training.log_every.
/// Throws ConfigError, opened by `source`, when the saved text cannot be read.
std::vector<ConfigDifference> compare_for_resume(const std::string& saved_text,
                                                 const std::string& source, const Config& config);

/// Names that task.name may have.
const std::vector<std::string>& known_tasks();

}  // namespace sbm::trainer
