#include "trainer/upload.h"

#include <ATen/ATen.h>

namespace sbm::trainer {

at::Tensor upload(const at::Tensor& host, at::Device device) {
  if (device.is_cpu() || !host.defined()) return host;
  // LibTorch keeps the pinned memory from being used again until the stream has read it.
  return host.pin_memory().to(device, /*non_blocking=*/true);
}

}  // namespace sbm::trainer
