#include "kernels/cuda/attention.h"

#include "kernels/cuda/attention_check.h"

namespace sbm::kernels::cuda {

Status attention_forward(const ForwardParams& params, CUstream_st* stream) {
  Status status = check(params);
  if (status.ok() && params.edges.work.graphs != nullptr) {
    status = attention_forward_edges(params, stream);
  }
  if (status.ok() && params.dense.work.graphs != nullptr) {
    status = attention_forward_dense(params, stream);
  }
  return status;
}

Status attention_backward(const BackwardParams& params, CUstream_st* stream) {
  Status status = check(params);
  if (status.ok()) status = attention_delta(params, stream);
  if (status.ok() && params.edges.work.graphs != nullptr) {
    status = attention_backward_edges(params, stream);
  }
  if (status.ok() && params.dense.work.graphs != nullptr) {
    status = attention_backward_dense(params, stream);
  }
  return status;
}

}  // namespace sbm::kernels::cuda
