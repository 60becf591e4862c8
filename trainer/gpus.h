#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sbm::trainer {

/// A GPU that this process may use.
struct Gpu {
  std::string name;
  std::string bus_id;  ///< PCI, e.g. "0000:1b:00.0"
  std::int64_t memory_bytes = 0;
  int major = 0;  ///< compute capability
  int minor = 0;
};

/// The least compute capability that the kernels are compiled for: 8.0.
inline constexpr int kLeastMajor = 8;

/// What this program and this machine have to compute on, the CPU aside.
struct Machine {
  bool built_with_cuda = false;
  std::string runtime;  ///< version of the CUDA runtime, e.g. "13.0"; empty without
  std::string driver;   ///< newest CUDA that the driver knows, e.g. "13.0"; empty without a driver
  std::vector<Gpu> gpus;
  std::string obstacle;  ///< why there are none, in the CUDA runtime's words
};

/// Looks; throws nothing. A program without CUDA does not look for GPUs.
Machine find_gpus();

}  // namespace sbm::trainer
