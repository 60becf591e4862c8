#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "trainer/output_file.h"

namespace sbm::launch {

/// Where predictions go on rank 0: a file that appears when it is whole, or stdout.
class PredictionOutput {
 public:
  /// Throws ConfigError, naming the option, when `path` is taken or cannot be, before anything is
  /// computed for it. An empty path is stdout.
  PredictionOutput(const std::string& option, const std::filesystem::path& path);

  void write(std::string_view text);
  void finish();

 private:
  std::optional<trainer::OutputFile> file_;
};

}  // namespace sbm::launch
