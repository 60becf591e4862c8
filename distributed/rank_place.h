#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace sbm::distributed {

/// Where an error happened, as every communicator's messages say it: "rank 1 of 4 (host node07,
/// step 12)". Without the step before the first one (step <= 0).
inline std::string place_text(int rank, int world_size, const std::string& host,
                              std::int64_t step) {
  return step > 0 ? fmt::format("rank {} of {} (host {}, step {})", rank, world_size, host, step)
                  : fmt::format("rank {} of {} (host {})", rank, world_size, host);
}

}  // namespace sbm::distributed
