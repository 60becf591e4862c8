#pragma once

#include <cstdint>

#include "base/host_device.h"
#include "base/tree_sum.h"

// The tree of base/tree_sum.h for the threads of a block: each sums one node some levels below the
// root, and the levels above are added pairwise. For processor and GPU alike.
namespace sbm::distributed {

/// Leaves [begin, end).
struct TreeNode {
  std::int64_t begin;
  std::int64_t end;
};

/// The node that one reaches from the root over [0, leaves) by `levels` steps, left for a 0 and
/// right for a 1 among the bits of `path`, the highest first. A single leaf is its own left half,
/// and has an empty right one.
SBM_HOST_DEVICE inline TreeNode tree_node(std::int64_t leaves, int levels, int path) {
  TreeNode node = {0, leaves};
  for (int level = levels - 1; level >= 0; --level) {
    const std::int64_t middle =
        node.end - node.begin > 1 ? tree_split(node.begin, node.end) : node.end;
    if (((path >> level) & 1) == 0) {
      node.end = middle;
    } else {
      node.begin = middle;
    }
  }
  return node;
}

/// tree_sum over values[node.begin .. node.end), at least one, without recursion.
SBM_HOST_DEVICE inline double tree_node_sum(const double* values, TreeNode node) {
  struct Frame {
    TreeNode right;
    double left;
    bool has_left;
  };
  Frame stack[64];  // of halves: as many as a 64-bit count has bits
  int depth = 0;
  for (;;) {
    while (node.end - node.begin > 1) {
      const std::int64_t middle = tree_split(node.begin, node.end);
      stack[depth++] = {{middle, node.end}, 0.0, false};
      node.end = middle;
    }
    double sum = values[node.begin];
    while (depth > 0 && stack[depth - 1].has_left) sum = stack[--depth].left + sum;
    if (depth == 0) return sum;
    Frame& top = stack[depth - 1];
    top.left = sum;
    top.has_left = true;
    node = top.right;
  }
}

}  // namespace sbm::distributed
