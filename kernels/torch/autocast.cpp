#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "kernels/torch/registered_kernels.h"

// What autocast makes of a call on CUDA tensors.
namespace sbm::kernels::torch {

namespace {

at::Tensor as(at::ScalarType type, const at::Tensor& tensor) {
  return at::autocast::cached_cast(type, tensor, at::kCUDA);
}

OptionalTensor as(at::ScalarType type, const OptionalTensor& tensor) {
  return tensor.has_value() && tensor->defined() ? OptionalTensor(as(type, *tensor)) : tensor;
}

}  // namespace

at::ScalarType autocast_precision(at::ScalarType autocast_type) {
  return autocast_type == at::kBFloat16 ? at::kBFloat16 : at::kFloat;
}

AttentionOutputs attention_autocast_cuda(
    const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
    const at::Tensor& query_membership, const at::Tensor& key_membership,
    const at::Tensor& block_matrix, const OptionalTensor& query_valid,
    const OptionalTensor& key_valid, const at::Tensor& mask_keys, const OptionalTensor& probe_keys,
    const OptionalTensor& dropout_keys, const OptionalTensor& density_gradient, std::int64_t law,
    std::int64_t self_loops, double exploration, std::int64_t estimator, double clip,
    double probe_rate, double dropout, std::int64_t path, double dense_from,
    bool bf16_memberships) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::DispatchKey::AutocastCUDA);
  const at::ScalarType type = autocast_precision(at::autocast::get_autocast_dtype(at::kCUDA));
  return dispatch_attention(
      as(type, query), as(type, key), as(type, value), as(at::kFloat, query_membership),
      as(at::kFloat, key_membership), as(at::kFloat, block_matrix), query_valid, key_valid,
      mask_keys, probe_keys, dropout_keys, as(at::kFloat, density_gradient), law, self_loops,
      exploration, estimator, clip, probe_rate, dropout, path, dense_from, bf16_memberships);
}

at::Tensor keyed_dropout_autocast_cuda(const at::Tensor& input, const at::Tensor& keys,
                                       double probability) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::DispatchKey::AutocastCUDA);
  return dispatch_keyed_dropout(as(autocast_precision(input.scalar_type()), input), keys,
                                probability);
}

}  // namespace sbm::kernels::torch
