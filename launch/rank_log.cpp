#include "launch/rank_log.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>

#include <unistd.h>

#include <chrono>
#include <ctime>
#include <memory>

#include "base/error.h"

namespace sbm::launch {
namespace {

spdlog::sink_ptr open_sink(const std::filesystem::path& path) {
  try {
    return std::make_shared<spdlog::sinks::basic_file_sink_st>(path.string());
  } catch (const spdlog::spdlog_ex& error) {
    throw ConfigError(path.string() + ": cannot open the log: " + error.what());
  }
}

}  // namespace

std::filesystem::path rank_log_path(const std::filesystem::path& run_directory, int rank) {
  return run_directory / "logs" / fmt::format("rank-{}.log", rank);
}

void append_last_words(const std::filesystem::path& log, const std::string& host,
                       const std::string& text) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::string line =
      fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03} {} {}\n",
                  fmt::localtime(static_cast<std::time_t>(milliseconds / 1000)),
                  milliseconds % 1000, host, text);
  const int file = ::open(log.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t written = ::write(file, line.data(), line.size());
  ::fsync(file);
  ::close(file);
}

std::function<void(const std::string&)> make_rank_log(
    const std::filesystem::path& run_directory, const distributed::Communicator& communicator) {
  const auto path = rank_log_path(run_directory, communicator.rank());
  const std::string host = communicator.host();
  return [path, host, logger = std::shared_ptr<spdlog::logger>()](const std::string& text) mutable {
    if (!logger) {
      logger = std::make_shared<spdlog::logger>("rank", open_sink(path));
      logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e " + host + " %v");
      logger->flush_on(spdlog::level::info);
    }
    logger->info(text);
  };
}

}  // namespace sbm::launch
