#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>
#include <vector>

namespace sbm::trainer {

/// Which masks the encoder attends along. The last three are controls for evaluation: what a score
/// is worth is what it loses when the learnt mask is swapped for one of them (docs/method.md).
enum class MaskControl {
  kLearned,  ///< drawn from P
  kRandom,   ///< every valid cell with the same probability: the mean of P over valid cells
  kRank1,    ///< drawn from r_i c_j / sum P, r and c the row and column sums of P; a cell above 1
             ///< is always an edge, so the sums of such rows and columns come out a little lower
  kFull,     ///< every valid cell
};

/// Throws ConfigError on anything but "learned", "random", "rank1" or "full".
MaskControl parse_mask_control(std::string_view name);
std::string_view mask_control_name(MaskControl control);
const std::vector<std::string>& mask_control_names();

/// What a mask is drawn from: P = query key^T with `block` in between.
struct Memberships {
  at::Tensor query;  ///< Qhat float [batch, heads, queries, clusters]
  at::Tensor key;    ///< Khat float [batch, heads, keys, clusters]
  at::Tensor block;  ///< S float [heads, clusters, clusters]
};

/// sum P / (valid queries x valid keys) of each graph, O(nk) and differentiable: the analytic
/// density of docs/method.md. `valid` float [batch, tokens], 1 on tokens and 0 on padding. Returns
/// float [batch, heads].
at::Tensor expected_density(const Memberships& memberships, const at::Tensor& valid);

/// Memberships with one cluster from which the control's mask is drawn by the same sampler, O(nk).
/// `valid` as above. kLearned gives back what it got.
Memberships controlled_memberships(const Memberships& learned, const at::Tensor& valid,
                                   MaskControl control);

}  // namespace sbm::trainer
