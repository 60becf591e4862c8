#include "distributed/checkpoint/folder_names.h"

#include <fmt/format.h>

#include <charconv>

namespace sbm::distributed::checkpoint {
namespace {

constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kTemporary = ".tmp.";
constexpr std::string_view kDeleted = ".del";
constexpr std::string_view kBad = ".bad-";

// What follows "step-<number>" when `name` begins like that.
std::optional<std::string_view> suffix_of(std::string_view name) {
  const std::size_t digits_end = name.find('.');
  if (digits_end == std::string_view::npos) return std::nullopt;
  if (!parse_step_name(name.substr(0, digits_end))) return std::nullopt;
  return name.substr(digits_end);
}

}  // namespace

std::string step_name(std::int64_t step) { return fmt::format("{}{:09}", kPrefix, step); }

std::optional<std::int64_t> parse_step_name(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const std::string_view digits = name.substr(kPrefix.size());
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  // One spelling for one step, or two folders could claim the same.
  if (error != std::errc() || step < 0 || name != step_name(step)) return std::nullopt;
  return step;
}

std::string temporary_name(std::int64_t step, const std::string& run_id) {
  return fmt::format("{}{}{}", step_name(step), kTemporary, run_id);
}

std::string deleted_name(std::int64_t step) {
  return fmt::format("{}{}", step_name(step), kDeleted);
}

std::string bad_name(std::int64_t step, std::int64_t unix_time) {
  return fmt::format("{}{}{}", step_name(step), kBad, unix_time);
}

bool is_leftover_name(std::string_view name) {
  const auto suffix = suffix_of(name);
  return suffix && (suffix->starts_with(kTemporary) || *suffix == kDeleted);
}

bool is_bad_name(std::string_view name) {
  const auto suffix = suffix_of(name);
  return suffix && suffix->starts_with(kBad);
}

}  // namespace sbm::distributed::checkpoint
