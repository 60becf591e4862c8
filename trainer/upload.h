#pragma once

#include <ATen/core/Tensor.h>

namespace sbm::trainer {

/// `host` on `device`: the tensor itself when that is the CPU, else a copy from pinned memory that
/// is ordered with the current stream while the host goes on. Undefined tensors stay undefined.
at::Tensor upload(const at::Tensor& host, at::Device device);

}  // namespace sbm::trainer
