#pragma once

#include "kernels/torch/operators.h"

struct CUstream_st;

// The operators on tensors in the memory of a GPU. What runs is kernels/cuda and LibTorch's own
// operators, on one stream: nothing waits for the device, memory comes from LibTorch's allocator,
// and so all of it can be captured in a CUDA graph. No CUDA header is needed, so that the tests run
// this very code over the bench of tests/cuda_host.
namespace sbm::kernels::torch {

/// sbm::attention. query, key, value and output are float or bfloat16, all of one type; everything
/// else as on the CPU, but for head_dim: at most 128. Memberships outside [0, 1] cannot be refused
/// without waiting for the device: they make every number of edge_counts -1.
AttentionOutputs attention_on_stream(
    CUstream_st* stream, const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const OptionalTensor& query_valid,
    const OptionalTensor& key_valid, const at::Tensor& mask_keys, const OptionalTensor& probe_keys,
    const OptionalTensor& dropout_keys, const OptionalTensor& density_gradient, std::int64_t law,
    std::int64_t self_loops, double exploration, std::int64_t estimator, double clip,
    double probe_rate, double dropout, std::int64_t path, double dense_from, bool bf16_memberships);

/// sbm::attention_backward. Both refuse bf16_memberships. The products with S are LibTorch's, in
/// float.
AttentionGradients attention_backward_on_stream(
    CUstream_st* stream, const at::Tensor& grad_output, const at::Tensor& query,
    const at::Tensor& key, const at::Tensor& value, const at::Tensor& query_membership,
    const at::Tensor& key_membership, const at::Tensor& block_matrix, const at::Tensor& output,
    const at::Tensor& log_sum_exp, const SampledGraphsHandle& graphs,
    const OptionalTensor& dropout_keys, const OptionalTensor& density_gradient,
    std::int64_t estimator, double clip, double probe_rate, double dropout, std::int64_t path,
    double dense_from, bool bf16_memberships);

/// sbm::keyed_dropout: the bits of the CPU's in float; input and output may be bfloat16 too.
at::Tensor keyed_dropout_on_stream(CUstream_st* stream, const at::Tensor& input,
                                   const at::Tensor& keys, double probability);

}  // namespace sbm::kernels::torch
