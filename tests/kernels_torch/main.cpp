#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "tests/kernels_torch/test_device.h"

namespace sbm::kernels::torch {

at::Device test_device() {
  const char* const name = std::getenv("SBM_TEST_DEVICE");
  return name == nullptr ? at::Device(at::kCPU) : at::Device(name);
}

}  // namespace sbm::kernels::torch

// The suite runs once for each device that the build knows. Where there is none of the kind, it
// says so in the line that CTest takes for a skipped test.
int main(int count, char** arguments) {
  testing::InitGoogleMock(&count, arguments);
  if (sbm::kernels::torch::test_device().is_cuda() && !at::globalContext().hasCUDA() &&
      !testing::GTEST_FLAG(list_tests)) {
    std::cout << "[  SKIPPED ] LibTorch finds no CUDA device on this machine\n";
    return 0;
  }
  return RUN_ALL_TESTS();
}
