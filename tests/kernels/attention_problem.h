#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/cpu/attention.h"
#include "kernels/executor.h"
#include "kernels/reference/attention_matrix.h"
#include "tests/kernels/guarded_array.h"

// Random attention problems for the edge-list kernels, and their answers by the reference.
namespace sbm::kernels {

using GuardedFloats = testing::GuardedArray<float>;

/// A [batch, heads, tokens, width] tensor that lies as [batch, tokens, heads, width + gap]. The
/// gaps hold NaN, except that the last one is missing.
struct TestTensor {
  TestTensor(std::int64_t batch, std::int64_t heads, std::int64_t tokens, std::int64_t width,
             std::int64_t gap);
  [[nodiscard]] HeadTensor<float> view() const;
  [[nodiscard]] HeadTensor<const float> const_view() const;
  [[nodiscard]] reference::Matrix matrix(std::int64_t batch, std::int64_t head) const;
  [[nodiscard]] bool gaps_untouched() const;

  std::int64_t batch, heads, tokens, width, gap;
  GuardedFloats values;
};

struct ProblemSpec {
  std::int64_t batch = 1;
  std::int64_t heads = 1;
  std::int64_t queries = 1;
  std::int64_t keys = 1;
  std::int64_t head_dim = 1;
  std::int64_t clusters = 1;
  double density = 0.25;
  AttentionPath path = AttentionPath::kAuto;
  double dropout = 0.0;
  Estimator estimator = Estimator::kPaper;
  float clip = 1.0F;
  bool gates = false;
  bool diagonal_forced = true;
  std::int64_t gap = 0;
  double probe_rate = 0.3;       ///< of TRAPEZOID
  std::int64_t padded_rows = 0;  ///< last rows and columns without edges
  double score_shift = 0.0;      ///< added to every score, by way of a constant feature
  std::uint64_t seed = 1;

  [[nodiscard]] std::string name() const;
};

/// Outputs of forward and backward, in GuardedFloats throughout.
struct Outputs {
  explicit Outputs(const ProblemSpec& spec);
  TestTensor output, grad_query, grad_key, grad_value, query_product, key_product;
  GuardedFloats log_sum_exp;

  /// All values in one list, for comparing bits.
  [[nodiscard]] std::vector<float> all() const;
};

class Problem {
 public:
  explicit Problem(const ProblemSpec& spec);

  [[nodiscard]] cpu::ForwardParams forward(Outputs& outputs) const;
  [[nodiscard]] cpu::BackwardParams backward(Outputs& outputs) const;
  /// Runs both; fails the test when one refuses.
  void run(Executor& executor, Outputs& outputs) const;
  /// Fails the test where an output is further from the reference than `tolerance` times the
  /// reference's norm, or a gap was written to.
  void expect_matches_reference(const Outputs& outputs, double tolerance) const;

  ProblemSpec spec;
  AttentionShape shape;
  EstimatorParams estimator;
  std::vector<EdgeList> graphs;

 private:
  std::vector<PhiloxKey> dropout_keys_;
  std::vector<float> density_gradient_;
  TestTensor query_, key_, value_, grad_output_, query_membership_, key_membership_;
};

}  // namespace sbm::kernels
