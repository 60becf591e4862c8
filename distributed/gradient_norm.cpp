#include "distributed/gradient_norm.h"

#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "distributed/tree_all_reduce.h"

namespace sbm::distributed {
namespace {

void check_shard(const Communicator& communicator, const ElementRange& shard, std::size_t found) {
  if (found == static_cast<std::size_t>(shard.size())) return;
  throw InternalError("gradient_norm on rank " + std::to_string(communicator.rank()) +
                      ": expected a shard of " + std::to_string(shard.size()) +
                      " elements, found " + std::to_string(found));
}

}  // namespace

double gradient_norm(Communicator& communicator, const FlatLayout& layout,
                     std::span<const float> gradient_shard) {
  check_shard(communicator, layout.shard(communicator.rank(), communicator.world_size()),
              gradient_shard.size());
  std::vector<double> chunks(gradient_shard.size() / FlatLayout::kChunk);
  host_flat_math().sum_squares(gradient_shard, chunks.data());
  const std::int64_t count = layout.size() / FlatLayout::kChunk;
  return std::sqrt(tree_all_reduce(communicator, count, 1, chunks)[0]);
}

GradientClip::GradientClip(Communicator& communicator, const FlatLayout& layout, double clip_norm,
                           FlatMath& math)
    : communicator_(communicator),
      math_(math),
      shard_(layout.shard(communicator.rank(), communicator.world_size())),
      chunks_(layout.size() / FlatLayout::kChunk),
      clip_norm_(clip_norm),
      sums_(math.allocate(static_cast<std::size_t>(chunks_) * sizeof(double))),
      state_(math.allocate(sizeof(ClipState))) {
  if (communicator.memory() != math.memory()) {
    throw InternalError("the norm is summed in one kind of memory and exchanged in another");
  }
  for (int rank = 0; rank < communicator.world_size(); ++rank) {
    const ElementRange theirs = layout.shard(rank, communicator.world_size());
    if (rank == 0) offsets_.push_back(0);
    offsets_.push_back(static_cast<std::size_t>(theirs.end / FlatLayout::kChunk) * sizeof(double));
  }
}

const ClipState* GradientClip::measure(std::span<const float> gradient_shard) {
  check_shard(communicator_, shard_, gradient_shard.size());
  auto* const sums = reinterpret_cast<double*>(sums_.get());
  const std::span<std::byte> all(sums_.get(), static_cast<std::size_t>(chunks_) * sizeof(double));
  const auto rank = static_cast<std::size_t>(communicator_.rank());
  math_.sum_squares(gradient_shard, sums + offsets_[rank] / sizeof(double));
  communicator_
      .all_gather(all.subspan(offsets_[rank], offsets_[rank + 1] - offsets_[rank]), all, offsets_)
      ->wait_in_stream();
  auto* const state = reinterpret_cast<ClipState*>(state_.get());
  math_.finish_norm(sums, chunks_, clip_norm_, state);
  return state;
}

}  // namespace sbm::distributed
