#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The names in a folder of checkpoints: step-000001200, and beside it what is not one (yet, or any
// more): step-000001200.tmp.<run id>, .del, .bad-<time>.
namespace sbm::distributed::checkpoint {

/// "step-000001200".
std::string step_name(std::int64_t step);

/// The step of a complete checkpoint's name; nothing for any other name.
std::optional<std::int64_t> parse_step_name(std::string_view name);

std::string temporary_name(std::int64_t step, const std::string& run_id);
std::string deleted_name(std::int64_t step);
std::string bad_name(std::int64_t step, std::int64_t unix_time);

/// Whether this is what a killed save or a killed deletion leaves.
bool is_leftover_name(std::string_view name);
/// Whether this is a checkpoint put aside because it was damaged.
bool is_bad_name(std::string_view name);

}  // namespace sbm::distributed::checkpoint
