#include "launch/rank_log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>

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

std::function<void(const std::string&)> make_rank_log(
    const std::filesystem::path& run_directory, const distributed::Communicator& communicator) {
  const auto path = run_directory / "logs" / fmt::format("rank-{}.log", communicator.rank());
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
