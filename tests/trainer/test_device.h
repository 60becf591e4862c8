#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>

namespace sbm::trainer::testing_support {

/// A suite that runs on each kind of device; on one that is not there it skips and says so.
class OnDevice : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kCUDA && !at::hasCUDA()) {
      GTEST_SKIP() << "no CUDA device, or a program built without CUDA";
    }
  }
  [[nodiscard]] static at::Device device() { return {GetParam()}; }
};

inline std::string device_name(const ::testing::TestParamInfo<at::DeviceType>& info) {
  return info.param == at::kCUDA ? "Cuda" : "Cpu";
}

}  // namespace sbm::trainer::testing_support
