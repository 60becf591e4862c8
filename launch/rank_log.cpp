#include "launch/rank_log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>

#include <memory>

namespace sbm::launch {

std::function<void(const std::string&)> make_rank_log(
    const std::filesystem::path& run_directory, const distributed::Communicator& communicator) {
  const auto path = run_directory / "logs" / fmt::format("rank-{}.log", communicator.rank());
  const std::string host = communicator.host();
  return [path, host, logger = std::shared_ptr<spdlog::logger>()](const std::string& text) mutable {
    if (!logger) {
      logger = std::make_shared<spdlog::logger>(
          "rank", std::make_shared<spdlog::sinks::basic_file_sink_st>(path.string()));
      logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e " + host + " %v");
      logger->flush_on(spdlog::level::info);
    }
    logger->info(text);
  };
}

}  // namespace sbm::launch
