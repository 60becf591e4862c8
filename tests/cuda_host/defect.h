#pragma once

#include <stdexcept>

namespace sbm::cuda_host {

/// What the bench throws out of launch() when a kernel breaks a rule of CUDA: what happened, in
/// which kernel, block and thread, and where in the source.
class KernelDefect : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace sbm::cuda_host
