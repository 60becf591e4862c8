#pragma once

#include "kernels/status.h"

struct CUstream_st;

// The passes of the backward by precision, head size and the clusters that one launch computes:
// each is compiled in a file of its own.
namespace sbm::kernels::cuda::dense {

struct BackwardCall;

Status backward_bf16_32(const BackwardCall& call, CUstream_st* stream);
Status backward_bf16_64(const BackwardCall& call, CUstream_st* stream);
Status backward_bf16_128(const BackwardCall& call, CUstream_st* stream);
Status backward_fp32_32(const BackwardCall& call, CUstream_st* stream);
Status backward_fp32_64(const BackwardCall& call, CUstream_st* stream);
Status backward_fp32_128(const BackwardCall& call, CUstream_st* stream);

}  // namespace sbm::kernels::cuda::dense
