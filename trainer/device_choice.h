#pragma once

#include <optional>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "trainer/config.pb.h"
#include "trainer/gpus.h"

namespace sbm::trainer {

/// Where one rank computes.
struct DeviceChoice {
  std::optional<int> gpu;  ///< index within Machine::gpus; none: the CPU
  std::string reason;      ///< one sentence that says what was chosen, and why
};

/// What `runtime.device` means on a machine: CPU takes the CPU; CUDA takes GPU local_rank modulo
/// their number, since a launcher may show each rank its own one alone; AUTO does the same where
/// that works, else it takes the CPU and says why. Throws ConfigError, saying what is missing,
/// where CUDA cannot be.
DeviceChoice choose_device(Runtime::Device wanted, const Machine& machine, int local_rank);

/// Why `sbm train`, `eval` and `predict` compute on the CPU here, whatever there is: a sentence
/// without a subject.
std::string cpu_reason(const Machine& machine);

/// The place of one rank of a job.
struct RankDevice {
  std::string host;
  std::string bus_id;  ///< of its GPU; empty: the CPU
  /// NCCL_HOSTID of its process, which makes NCCL take a rank for another host's; mostly empty.
  std::string host_id;
};

/// Throws ConfigError unless all ranks compute on CPUs or each on a GPU of its own. Two ranks share
/// one where NCCL says so: same bus id, same host, and not told apart by NCCL_HOSTID.
void require_own_gpus(const std::vector<RankDevice>& ranks);

/// Collective: choose_device() on every rank, then require_own_gpus(). Every rank throws what one
/// throws.
DeviceChoice agree_on_device(distributed::Communicator& communicator, Runtime::Device wanted,
                             const Machine& machine);

}  // namespace sbm::trainer
