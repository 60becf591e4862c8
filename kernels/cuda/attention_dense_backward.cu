#include <algorithm>

#include "kernels/cuda/attention_dense_instances.h"
#include "kernels/cuda/attention_dense_launch.h"
#include "kernels/cuda/attention_dense_prepare.cuh"
#include "kernels/sampler_threshold.h"

namespace sbm::kernels::cuda {
namespace {

using dense::BackwardCall;

/// Whatever the passes read beside the inputs.
Status prepare(const BackwardCall& call, cudaStream_t stream) {
  const AttentionShape& shape = call.params.shape;
  const dim3 threads(dense::kPrepareThreads);
  const unsigned grid =
      dense::grid_size(shape, std::max(shape.queries, shape.keys), dense::kPrepareTokens);
  if (grid == 0) return Status();
  const auto kernel = call.params.precision == Precision::kBfloat16
                          ? dense::attention_dense_prepare<dense::Bfloat16>
                          : dense::attention_dense_prepare<float>;
  const Status status = launch(kernel, dim3(grid), threads, 0, stream, call);
  // The general form looks at every cell's probability anyway.
  const bool is_general = call.params.estimator.estimator == Estimator::kTrapezoid ||
                          call.params.dense.law.law == MaskLaw::kPoisson;
  if (!status.ok() || is_general) return status;
  return launch(dense::attention_dense_find_saturation, dim3(dense::grid_size(shape, 1, 1)),
                threads, 0, stream, call);
}

}  // namespace

std::size_t attention_dense_workspace_bytes(const AttentionShape& shape, Precision precision) {
  dense::Workspace workspace;
  return dense::lay_out_workspace(shape, precision, nullptr, workspace);
}

Status attention_backward_dense(const BackwardParams& params, CUstream_st* stream) {
  BackwardCall call;
  call.params = params;
  dense::lay_out_workspace(params.shape, params.precision, params.dense_workspace, call.workspace);
  call.score_scale = params.shape.scale * kLog2E;
  call.dropout = DropoutRule(params.shape.dropout);
  call.estimator = EstimatorRule(params.estimator);
  call.exploration = exploration_units(params.dense.law.exploration);
  call.every_cell_probed = params.estimator.probe_rate >= 1.0;
  if (const Status status = prepare(call, stream); !status.ok()) return status;
  const bool is_bfloat16 = params.precision == Precision::kBfloat16;
  switch (params.shape.head_dim) {
    case 32:
      return is_bfloat16 ? dense::backward_bf16_32(call, stream)
                         : dense::backward_fp32_32(call, stream);
    case 64:
      return is_bfloat16 ? dense::backward_bf16_64(call, stream)
                         : dense::backward_fp32_64(call, stream);
    default:
      return is_bfloat16 ? dense::backward_bf16_128(call, stream)
                         : dense::backward_fp32_128(call, stream);
  }
}

}  // namespace sbm::kernels::cuda
