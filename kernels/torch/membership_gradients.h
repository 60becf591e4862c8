#pragma once

#include <ATen/core/Tensor.h>

namespace sbm::kernels::torch {

/// Carries T = G Khat and R = G^T Qhat on to the memberships (design, section 3.1):
///   dQhat = T S^T and dKhat = R S, in place of T and R, which are float, dense
///   [batch, heads, tokens, clusters];
///   dS = sum over the batch of Qhat^T T, returned, [heads, clusters, clusters].
/// Sums run in an order that follows from the shapes alone, each piece on one thread, so the bits
/// do not depend on the number of threads.
at::Tensor membership_gradients(at::Tensor& query_product, at::Tensor& key_product,
                                const at::Tensor& query_membership, const at::Tensor& block_matrix);

}  // namespace sbm::kernels::torch
