#pragma once

#include "cuda_host/sampler_device.h"
#include "tests/kernels/sampler_problem.h"

namespace sbm::cuda_host {

/// Compares every graph, step by step and bit by bit, with kernels/reference: W, K and their
/// exponents, work lists, masks or lists of both sides with gates and probabilities, probes,
/// counts.
void expect_reference(kernels::testing::Problem& problem, const SamplerChoice& choice,
                      const DrawnGraphs& drawn);

}  // namespace sbm::cuda_host
