#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "distributed/sharded_adamw.h"
#include "distributed/tree_all_reduce.h"

namespace sbm::distributed {
namespace {

/// Eight interleaved sums: an order of its own, the same for every instruction set, that the
/// processor need not wait through one addition at a time.
double sum_of_squares(std::span<const float, FlatLayout::kChunk> chunk) {
  constexpr std::size_t kLanes = 8;
  std::array<double, kLanes> lanes{};
  for (std::size_t i = 0; i < chunk.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double x = chunk[i + lane];
      lanes[lane] += x * x;
    }
  }
  for (std::size_t half = kLanes / 2; half > 0; half /= 2) {
    for (std::size_t lane = 0; lane < half; ++lane) lanes[lane] += lanes[lane + half];
  }
  return lanes[0];
}

}  // namespace

double gradient_norm(Communicator& communicator, const FlatLayout& layout,
                     std::span<const float> gradient_shard) {
  const ElementRange shard = layout.shard(communicator.rank(), communicator.world_size());
  if (gradient_shard.size() != static_cast<std::size_t>(shard.size())) {
    throw InternalError("gradient_norm on rank " + std::to_string(communicator.rank()) +
                        ": expected a shard of " + std::to_string(shard.size()) +
                        " elements, found " + std::to_string(gradient_shard.size()));
  }
  std::vector<double> chunks(gradient_shard.size() / FlatLayout::kChunk);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    chunks[i] =
        sum_of_squares(gradient_shard.subspan(i * FlatLayout::kChunk).first<FlatLayout::kChunk>());
  }
  const std::int64_t count = layout.size() / FlatLayout::kChunk;
  return std::sqrt(tree_all_reduce(communicator, count, 1, chunks)[0]);
}

}  // namespace sbm::distributed
