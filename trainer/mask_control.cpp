#include "trainer/mask_control.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/error.h"
#include "trainer/nearest_name.h"

namespace sbm::trainer {
namespace {

/// Each sample's valid tokens with equal weights of sum 1: float [batch, 1, 1, tokens].
at::Tensor token_weights(const at::Tensor& valid) {
  return (valid / valid.sum(1, true).clamp_min(1.0)).unsqueeze(1).unsqueeze(1);
}

constexpr float kTiny = 1e-30F;

Memberships rank_one(const Memberships& learned, const at::Tensor& valid) {
  // A cell of r_i c_j / sum P may exceed 1, which memberships cannot. The block matrix can, and a
  // power of two for all samples alike leaves the quantisation of a sample to itself.
  constexpr double kHeadroom = 4096.0;
  const at::Tensor weights = token_weights(valid);
  const at::Tensor query_mean = at::matmul(weights, learned.query);
  const at::Tensor key_mean = at::matmul(weights, learned.key);
  const at::Tensor row_mean =
      at::matmul(learned.query, at::matmul(learned.block, key_mean.transpose(-1, -2)));
  const at::Tensor column_mean = at::matmul(
      learned.key, at::matmul(learned.block.transpose(-1, -2), query_mean.transpose(-1, -2)));
  const at::Tensor mean = at::matmul(weights, row_mean).clamp_min(kTiny);
  const at::Tensor shown = valid.unsqueeze(1).unsqueeze(-1);
  const at::Tensor highest_row = (row_mean * shown).amax(2, true).clamp_min(kTiny);
  const at::Tensor highest_column = (column_mean * shown).amax(2, true).clamp_min(kTiny);
  const at::Tensor highest_cell = (highest_row * highest_column / mean).clamp_max(kHeadroom);
  Memberships memberships;
  memberships.query =
      (row_mean * shown / highest_row * (highest_cell / kHeadroom)).clamp(0.0, 1.0).contiguous();
  memberships.key = (column_mean * shown / highest_column).clamp(0.0, 1.0).contiguous();
  memberships.block = at::full({learned.block.size(0), 1, 1}, kHeadroom, learned.block.options());
  return memberships;
}

Memberships constant(const Memberships& learned, const at::Tensor& probability) {
  const at::IntArrayRef sizes = learned.query.sizes();
  Memberships memberships;
  memberships.query = at::ones({sizes[0], sizes[1], sizes[2], 1}, learned.query.options());
  memberships.key = probability.unsqueeze(-1)
                        .unsqueeze(-1)
                        .expand({sizes[0], sizes[1], learned.key.size(2), 1})
                        .contiguous();
  memberships.block = at::ones({learned.block.size(0), 1, 1}, learned.block.options());
  return memberships;
}

}  // namespace

const std::vector<std::string>& mask_control_names() {
  static const std::vector<std::string> kNames = {"learned", "random", "rank1", "full"};
  return kNames;
}

MaskControl parse_mask_control(std::string_view name) {
  const std::vector<std::string>& names = mask_control_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    throw ConfigError("mask: expected " + list_names(names) + ", found \"" + std::string(name) +
                      "\"" + suggestion(name, names));
  }
  return static_cast<MaskControl>(found - names.begin());
}

std::string_view mask_control_name(MaskControl control) {
  return mask_control_names()[static_cast<std::size_t>(control)];
}

at::Tensor expected_density(const Memberships& memberships, const at::Tensor& valid) {
  const at::Tensor weights = token_weights(valid);
  const at::Tensor query_mean = at::matmul(weights, memberships.query);
  const at::Tensor key_mean = at::matmul(weights, memberships.key);
  return at::matmul(at::matmul(query_mean, memberships.block), key_mean.transpose(-1, -2))
      .squeeze(-1)
      .squeeze(-1);
}

Memberships controlled_memberships(const Memberships& learned, const at::Tensor& valid,
                                   MaskControl control) {
  switch (control) {
    case MaskControl::kLearned:
      break;
    case MaskControl::kRandom:
      return constant(learned, expected_density(learned, valid).clamp(0.0, 1.0));
    case MaskControl::kRank1:
      return rank_one(learned, valid);
    case MaskControl::kFull:
      return constant(learned, at::ones({learned.query.size(0), learned.query.size(1)},
                                        learned.query.options()));
  }
  return learned;
}

}  // namespace sbm::trainer
