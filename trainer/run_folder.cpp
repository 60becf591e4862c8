#include "trainer/run_folder.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <system_error>

#include "base/error.h"
#include "trainer/output_file.h"

namespace sbm::trainer {
std::filesystem::path plain_path(const std::filesystem::path& path) {
  const std::filesystem::path normal = path.lexically_normal();
  if (normal.empty() || normal == ".") return std::filesystem::current_path();
  return normal.has_filename() ? normal : normal.parent_path();
}

void RunFolder::create(distributed::Communicator& communicator) const {
  std::string problem;
  if (communicator.rank() == 0) {
    for (const auto& folder : {path_, checkpoints(), logs()}) {
      std::error_code error;
      std::filesystem::create_directories(folder, error);
      if (error && problem.empty()) {
        problem = "run folder " + folder.string() + " cannot be made: " + error.message() +
                  "; name another one with --run-dir";
      }
    }
  }
  problem = distributed::broadcast_string(communicator, problem, 0);
  if (!problem.empty()) throw ConfigError(problem);
}

void RunFolder::write_configuration(const std::string& resolved_text) const {
  replace_file(configuration(), resolved_text);
}

void RunFolder::write_status(const std::string& state, std::int64_t step,
                             const std::string& detail) const {
  const nlohmann::json json = {{"state", state}, {"step", step}, {"detail", detail}};
  // Details name files, whose names may hold any bytes.
  const auto replace = nlohmann::json::error_handler_t::replace;
  replace_file(path_ / "STATUS.json", json.dump(-1, ' ', false, replace) + "\n");
}

std::string make_run_id(distributed::Communicator& communicator) {
  std::string id;
  if (communicator.rank() == 0) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
    id = fmt::format("{:x}-{:x}-{:08x}", seconds, ::getpid(), std::random_device{}());
  }
  return distributed::broadcast_string(communicator, id, 0);
}

}  // namespace sbm::trainer
