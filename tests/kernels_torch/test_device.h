#pragma once

#include <ATen/ATen.h>

namespace sbm::kernels::torch {

/// Where the tests of this process put their tensors: what SBM_TEST_DEVICE says, cpu without it.
at::Device test_device();

/// Standard normal numbers of the CPU's generator, so that every device gets the same.
inline at::Tensor randn_on_device(at::IntArrayRef shape) {
  return at::randn(shape, at::kFloat).to(test_device());
}

}  // namespace sbm::kernels::torch
