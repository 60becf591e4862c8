#include "trainer/config.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "trainer/config_fields.h"
#include "trainer/nearest_name.h"

namespace sbm::trainer {
namespace {

// Messages within messages that are read, unknown ones included; the deepest field of Config lies
// in two. Without a bound, a file of opening brackets alone would use up the stack.
constexpr int kDeepest = 100;

// Nobody mends more at once, and a file of nothing but mistakes has a million.
constexpr std::size_t kMostProblems = 100;

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// What stands between quotation marks in `message`.
std::vector<std::string> quoted_parts(const std::string& message) {
  std::vector<std::string> parts;
  std::size_t begin = message.find('"');
  while (begin != std::string::npos) {
    const std::size_t end = message.find('"', begin + 1);
    if (end == std::string::npos) break;
    parts.push_back(message.substr(begin + 1, end - begin - 1));
    begin = message.find('"', end + 1);
  }
  return parts;
}

/// Collects what the parser says about `text` in this project's words, each with its place.
class ProblemCollector : public google::protobuf::io::ErrorCollector {
 public:
  explicit ProblemCollector(const std::string& text) : lines_(split_lines(text)) {}

  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (problems_.size() == kMostProblems) {
      ++left_out_;
      return;
    }
    const std::vector<std::string> quoted = quoted_parts(message);
    if (message.find(" has no field named ") != std::string::npos && quoted.size() == 2) {
      const std::string& name = quoted[1];
      const std::vector<std::string> names = field_names(quoted[0]);
      problems_.push_back(place_of(name, line, column) + message_path(quoted[0]) + name +
                          ": no such field; expected one of " + list_names(names) +
                          suggestion(name, names));
    } else if (message.starts_with("Unknown enumeration value of ") && quoted.size() == 2) {
      const std::string& value = quoted[0];
      const std::vector<std::string> names = enum_values(quoted[1]);
      problems_.push_back(place_of(value, line, column) + quoted[1] + ": expected " +
                          list_names(names) + ", found \"" + value + "\"" +
                          suggestion(value, names));
    } else {
      problems_.push_back(place(line, column) + message);
    }
  }

  /// An unknown field is only a warning to the parser when it is told to read on past it, which
  /// finds the other problems too.
  void AddWarning(int line, google::protobuf::io::ColumnNumber column,
                  const std::string& message) override {
    AddError(line, column, message);
  }

  [[nodiscard]] std::vector<std::string> problems() const {
    std::vector<std::string> all = problems_;
    if (left_out_ > 0) all.push_back("and " + std::to_string(left_out_) + " more");
    return all;
  }

 private:
  static std::string place(int line, int column) {
    if (line < 0) return {};
    return "line " + std::to_string(line + 1) + ":" + std::to_string(column + 1) + ": ";
  }

  /// The parser points behind the name, where it was when it noticed: look back for the name.
  [[nodiscard]] std::string place_of(const std::string& name, int line, int column) const {
    const int last = std::min(line, static_cast<int>(lines_.size()) - 1);
    for (int i = last; i >= 0; --i) {
      const std::string& text = lines_[static_cast<std::size_t>(i)];
      const std::size_t from = i == line ? static_cast<std::size_t>(column) : std::string::npos;
      const std::size_t found = text.rfind(name, from);
      if (found != std::string::npos) return place(i, static_cast<int>(found));
    }
    return place(line, column);
  }

  std::vector<std::string> lines_;
  std::vector<std::string> problems_;
  std::size_t left_out_ = 0;
};

std::string read_file(const std::filesystem::path& file) {
  std::error_code error;
  const std::filesystem::file_status status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) {
    throw ConfigError(file.string() + ": expected a configuration file, found nothing there");
  }
  if (std::filesystem::is_directory(status)) {
    throw ConfigError(file.string() + ": expected a configuration file, found a folder");
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    throw ConfigError(file.string() + ": cannot open: " + std::strerror(errno));
  }
  // Not the size the file system tells: a pipe or a device has none, or has no end.
  std::string text(kLargestConfigBytes + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) throw ConfigError(file.string() + ": cannot read: " + std::strerror(errno));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kLargestConfigBytes) {
    throw ConfigError(file.string() + ": expected a configuration of at most " +
                      std::to_string(kLargestConfigBytes) + " bytes, found a larger file");
  }
  return text;
}

// lasting_text() leaves out the same fields.
bool may_change_on_resume(const std::string& path) {
  return path.starts_with("runtime.") || path.starts_with("checkpoint.") ||
         path == "training.stop_at_step" || path == "training.evaluate_every" ||
         path == "training.log_every";
}

}  // namespace

Config parse_config(const std::string& text, const std::string& source) {
  ProblemCollector collector(text);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&collector);
  parser.AllowUnknownField(true);
  parser.SetRecursionLimit(kDeepest);
  Config config;
  const bool parsed = parser.ParseFromString(text, &config);
  std::vector<std::string> problems = collector.problems();
  if (!parsed && problems.empty()) problems.emplace_back("not protobuf text");
  throw_problems(problems, source);
  return config;
}

std::string lasting_text(const Config& config) {
  Config lasting = config;
  lasting.clear_runtime();
  lasting.clear_checkpoint();
  lasting.mutable_training()->clear_stop_at_step();
  lasting.mutable_training()->clear_evaluate_every();
  lasting.mutable_training()->clear_log_every();
  return resolved_text(lasting);
}

std::vector<std::string> apply_overrides(Config& config, std::span<const std::string> overrides) {
  std::vector<std::string> problems;
  for (const std::string& override_text : overrides) {
    const std::size_t equals = override_text.find('=');
    if (equals == std::string::npos) {
      problems.push_back("--set " + override_text +
                         ": expected path.to.field=value, found no \"=\"");
      continue;
    }
    const std::string_view whole = override_text;
    const std::string problem =
        set_field(config, whole.substr(0, equals), whole.substr(equals + 1));
    if (!problem.empty()) problems.push_back("--set " + problem);
  }
  return problems;
}

void throw_problems(const std::vector<std::string>& problems, const std::string& source) {
  if (problems.empty()) return;
  if (problems.size() == 1) throw ConfigError(source + ": " + problems.front());
  std::ostringstream message;
  message << source << ": " << problems.size() << " problems";
  for (const std::string& problem : problems) message << "\n  " << problem;
  throw ConfigError(message.str());
}

Config load_config(const std::filesystem::path& file, std::span<const std::string> overrides) {
  Config config = parse_config(read_file(file), file.string());
  std::vector<std::string> problems = apply_overrides(config, overrides);
  const std::vector<std::string> more = config_problems(config);
  problems.insert(problems.end(), more.begin(), more.end());
  throw_problems(problems, file.string());
  return config;
}

std::string resolved_text(const Config& config) {
  Config complete = config;
  make_defaults_explicit(complete);
  google::protobuf::TextFormat::Printer printer;
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  printer.PrintToString(complete, &text);
  return text;
}

std::vector<ConfigDifference> compare_for_resume(const std::string& saved_text,
                                                 const std::string& source, const Config& config) {
  const std::vector<FieldValue> before = list_fields(parse_config(saved_text, source));
  const std::vector<FieldValue> after = list_fields(config);
  std::vector<ConfigDifference> differences;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i].value != after[i].value && !may_change_on_resume(before[i].path)) {
      differences.push_back({before[i].path, before[i].value, after[i].value});
    }
  }
  return differences;
}

}  // namespace sbm::trainer
