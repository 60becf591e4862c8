#include "trainer/task_fields.h"

#include <algorithm>
#include <array>

#include "trainer/config_fields.h"

namespace sbm::trainer {
namespace {

// Which part is whose: of all tasks whose name begins so.
struct TaskMessage {
  std::string_view task;
  std::string_view path;
};
constexpr std::array<TaskMessage, 6> kTaskMessages = {{
    {"lra/listops", "data.listops."},
    {"lra/text", "data.text."},
    {"lra/pathfinder", "data.pathfinder."},
    {"pretrain/mlm", "data.masked_language."},
    {"pretrain/mlm", "task.masking."},
    {"synthetic/repeated-tokens", "data.repeated_tokens."},
}};

const TaskMessage* owner(std::string_view path) {
  const auto* found = std::ranges::find_if(
      kTaskMessages, [&](const TaskMessage& message) { return path.starts_with(message.path); });
  return found == kTaskMessages.end() ? nullptr : found;
}

}  // namespace

bool is_foreign_field(std::string_view task, std::string_view path) {
  const TaskMessage* message = owner(path);
  return message != nullptr && !task.starts_with(message->task);
}

std::vector<std::string> foreign_field_problems(const Config& config) {
  const std::vector<FieldValue> fields = list_fields(config);
  const std::vector<FieldValue> defaults = list_fields(Config());
  const bool built = !config.data().directory().empty();
  std::vector<std::string> problems;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const FieldValue& field = fields[i];
    if (field.value == defaults[i].value || !is_foreign_field(config.task().name(), field.path)) {
      continue;
    }
    if (built && field.path.starts_with("data.")) continue;
    problems.push_back(field.path + ": expected " + defaults[i].value +
                       " or nothing, as it is for " + std::string(owner(field.path)->task) +
                       " and not for " + config.task().name() + ", found " + field.value);
  }
  return problems;
}

}  // namespace sbm::trainer
