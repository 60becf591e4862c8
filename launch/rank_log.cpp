#include "launch/rank_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>

#include <unistd.h>

#include <array>
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

void append_last_words(const std::filesystem::path& log, std::string_view host,
                       std::string_view text) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const auto seconds = static_cast<std::time_t>(milliseconds / 1000);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 1024> line{};
  const auto end = fmt::format_to_n(
      line.data(), line.size() - 1, "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03} {} {}",
      local.tm_year + 1900, local.tm_mon + 1, local.tm_mday, local.tm_hour, local.tm_min,
      local.tm_sec, milliseconds % 1000, host, text);
  *end.out = '\n';
  const int file = ::open(log.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t written =
      ::write(file, line.data(), static_cast<std::size_t>(end.out + 1 - line.data()));
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
