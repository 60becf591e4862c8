#include "distributed/sum_tree.h"

#include <string>

#include "base/error.h"
#include "base/tree_sum.h"

namespace sbm::distributed {
namespace {

void collect_subtrees(ElementRange node, ElementRange run, std::vector<ElementRange>& found) {
  if (node.end <= run.begin || run.end <= node.begin) return;
  if (run.begin <= node.begin && node.end <= run.end) {
    found.push_back(node);
    return;
  }
  const std::int64_t middle = tree_split(node.begin, node.end);
  collect_subtrees({node.begin, middle}, run, found);
  collect_subtrees({middle, node.end}, run, found);
}

/// Appends the merges of `node`, whose first partial is number `next`; returns where its sum is.
std::size_t collect_merges(ElementRange node, std::span<const ElementRange> partials,
                           std::size_t& next, std::vector<Merge>& merges) {
  if (next < partials.size() && partials[next] == node) return next++;
  if (node.size() < 2) {
    throw InternalError("the partial sums do not cover leaf " + std::to_string(node.begin));
  }
  const std::int64_t middle = tree_split(node.begin, node.end);
  const std::size_t left = collect_merges({node.begin, middle}, partials, next, merges);
  const std::size_t right = collect_merges({middle, node.end}, partials, next, merges);
  merges.push_back({left, right});
  return left;
}

void count_merges(ElementRange node, std::int64_t first, std::vector<std::int64_t>& counts) {
  if (node.size() < 2) return;
  const std::int64_t middle = tree_split(node.begin, node.end);
  count_merges({node.begin, middle}, first, counts);
  count_merges({middle, node.end}, first, counts);
  ++counts[static_cast<std::size_t>(node.end - 1 - first)];
}

}  // namespace

ElementRange micro_batch_run(int rank, int world_size, std::int64_t micro_batches) {
  if (world_size > micro_batches) {
    throw ConfigError("a global batch of " + std::to_string(micro_batches) +
                      " micro-batches cannot be divided among " + std::to_string(world_size) +
                      " ranks: expected at least one for each; use fewer ranks, or a smaller "
                      "training.micro_batch_size");
  }
  return even_part(micro_batches, rank, world_size);
}

std::vector<ElementRange> maximal_subtrees(std::int64_t leaves, ElementRange run) {
  std::vector<ElementRange> found;
  if (leaves > 0 && run.size() > 0) collect_subtrees({0, leaves}, run, found);
  return found;
}

std::vector<Merge> merge_order(ElementRange node, std::span<const ElementRange> partials) {
  std::vector<Merge> merges;
  std::size_t next = 0;
  collect_merges(node, partials, next, merges);
  if (next != partials.size()) {
    throw InternalError("expected " + std::to_string(next) + " partial sums, found " +
                        std::to_string(partials.size()));
  }
  return merges;
}

std::vector<std::int64_t> merges_after_leaves(std::int64_t leaves, ElementRange run) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(run.size()));
  for (const ElementRange& node : maximal_subtrees(leaves, run)) {
    count_merges(node, run.begin, counts);
  }
  return counts;
}

}  // namespace sbm::distributed
