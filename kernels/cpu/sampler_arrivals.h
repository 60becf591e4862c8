#pragma once

#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "kernels/sampler_process.h"

// The Poisson processes of the sampler's linear branch (docs/sampler.md, section 8).
namespace sbm::kernels::cpu {

struct Arrival {
  std::uint64_t position = 0;
  std::uint64_t uniform = 0;  ///< that thins it
};

/// Replaces `arrivals` by those of the process with this tag, positions ascending, drawn for `row`
/// from `stream`. About `expected` are. Throws std::bad_alloc.
void list_arrivals(PhiloxKey stream, std::uint32_t row, std::uint32_t tag, const Process& process,
                   double expected, std::vector<Arrival>& arrivals);

}  // namespace sbm::kernels::cpu
