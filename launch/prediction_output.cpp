#include "launch/prediction_output.h"

#include <iostream>
#include <system_error>

#include "base/error.h"

namespace sbm::launch {

PredictionOutput::PredictionOutput(const std::string& option, const std::filesystem::path& path) {
  if (path.empty()) return;
  std::error_code error;
  if (std::filesystem::exists(std::filesystem::symlink_status(path, error))) {
    throw ConfigError(option + ": expected a name that is free, found that " + path.string() +
                      " exists");
  }
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  if (!std::filesystem::is_directory(folder, error)) {
    throw ConfigError(option + ": expected a file in an existing folder, found that " +
                      folder.string() + " is none");
  }
  file_.emplace(path);
}

void PredictionOutput::write(std::string_view text) {
  if (file_) {
    file_->write(text);
  } else {
    std::cout << text;
  }
}

void PredictionOutput::finish() {
  if (file_) file_->commit();
}

}  // namespace sbm::launch
