#include "distributed/tree_all_reduce.h"

#include <string>

#include "base/checked.h"
#include "base/error.h"
#include "distributed/lasting_memory.h"
#include "distributed/sum_tree.h"

namespace sbm::distributed {
namespace {

void apply(std::span<const Merge> merges, std::size_t width, std::span<double> partials) {
  for (const Merge& merge : merges) {
    for (std::size_t i = 0; i < width; ++i) {
      partials[merge.to * width + i] += partials[merge.from * width + i];
    }
  }
}

/// The sum over `node`, from the values of its leaves. Overwrites them.
std::span<const double> sum_subtree(ElementRange node, std::size_t width,
                                    std::span<double> values) {
  std::vector<ElementRange> leaves;
  leaves.reserve(static_cast<std::size_t>(node.size()));
  for (std::int64_t i = node.begin; i < node.end; ++i) leaves.push_back({i, i + 1});
  apply(merge_order(node, leaves), width, values);
  return values.first(width);
}

}  // namespace

std::vector<double> tree_all_reduce(Communicator& communicator, std::int64_t count,
                                    std::int64_t width, std::span<const double> mine) {
  const int ranks = communicator.world_size();
  const ElementRange run = even_part(count, communicator.rank(), ranks);
  const auto columns = checked_cast<std::size_t>(width, "width of a tree sum");
  const auto expected = static_cast<std::size_t>(run.size()) * columns;
  if (mine.size() != expected) {
    throw InternalError("tree_all_reduce of " + std::to_string(count) + " leaves of width " +
                        std::to_string(width) + ": expected " + std::to_string(expected) +
                        " values on rank " + std::to_string(communicator.rank()) + ", found " +
                        std::to_string(mine.size()));
  }
  if (count == 0 || width == 0) return std::vector<double>(columns);

  std::vector<double> values(mine.begin(), mine.end());
  LastingVector<double> partials;
  for (const ElementRange& node : maximal_subtrees(count, run)) {
    const auto first = static_cast<std::size_t>(node.begin - run.begin) * columns;
    const auto sum = sum_subtree(node, columns, std::span(values).subspan(first));
    partials.insert(partials.end(), sum.begin(), sum.end());
  }

  std::vector<ElementRange> all_ranges;
  std::vector<std::size_t> offsets = {0};
  for (int r = 0; r < ranks; ++r) {
    const auto theirs = maximal_subtrees(count, even_part(count, r, ranks));
    all_ranges.insert(all_ranges.end(), theirs.begin(), theirs.end());
    offsets.push_back(all_ranges.size() * columns * sizeof(double));
  }
  LastingVector<double> all(all_ranges.size() * columns);
  communicator
      .all_gather(std::as_bytes(std::span(partials)), std::as_writable_bytes(std::span(all)),
                  offsets)
      ->wait();
  apply(merge_order({0, count}, all_ranges), columns, all);
  return {all.begin(), all.begin() + width};
}

}  // namespace sbm::distributed
