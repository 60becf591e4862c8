#pragma once

#include <torch/library.h>

#include "kernels/torch/operators.h"

// The functions that library.cpp registers with the dispatcher, one for each operator and dispatch
// key. Registered in one place: LibTorch must know SampledGraphs before any kernel that uses it,
// and static initialisers of several files run in an order that the linker chooses.
namespace sbm::kernels::torch {

/// Sampling and attention along the edges. attention_cpu.cpp
AttentionSignature attention_cpu;
AttentionBackwardSignature attention_backward_cpu;
/// Dropout by the sample's key. dropout.cpp
KeyedDropoutSignature keyed_dropout_cpu;

/// Shapes without data. Every output's shape, type and layout follow from the inputs'; what cannot
/// be known is the edges, so `graphs` holds none, and the values of edge_counts. meta.cpp
AttentionSignature attention_meta;
AttentionBackwardSignature attention_backward_meta;
KeyedDropoutSignature keyed_dropout_meta;

/// What is saved for the backward, and the way back. attention_autograd.cpp, dropout.cpp
AttentionSignature attention_autograd;
AttentionBackwardSignature attention_backward_autograd;
KeyedDropoutSignature keyed_dropout_autograd;

/// What autocast makes of a call on CUDA tensors before it goes on. autocast.cpp
AttentionSignature attention_autocast_cuda;
KeyedDropoutSignature keyed_dropout_autocast_cuda;
/// The type of query, key and value there: bfloat16 where autocast's own is that, else float,
/// because no kernel computes in float16. Memberships, the block matrix and sums are float in any
/// case.
at::ScalarType autocast_precision(at::ScalarType autocast_type);

/// Registers the kernels for CUDA tensors, of which a build for the CPU only has none:
/// library_cuda.cpp, library_cpu_only.cpp.
void register_cuda_kernels(::torch::Library& library);

}  // namespace sbm::kernels::torch
