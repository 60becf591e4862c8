#include "launch/gpu_findings.h"

#include <fmt/format.h>

#include <optional>
#include <string>

#include "base/error.h"
#include "distributed/device_communicator.h"
#include "trainer/device_choice.h"

namespace sbm::launch {
namespace {

Finding build(const trainer::Machine& machine) {
  if (!machine.built_with_cuda) {
    return {"GPU build", true, "no; ./launch/setup.sh --cuda and cmake --preset cuda make one"};
  }
  const std::optional<std::string> nccl = distributed::device_communicator_version();
  return {"GPU build", true,
          fmt::format("CUDA runtime {}, {}", machine.runtime, nccl.value_or("no NCCL"))};
}

Finding gpus(const trainer::Machine& machine) {
  if (!machine.built_with_cuda) {
    return {"GPU", true, "not looked for; this build computes on the CPU only"};
  }
  if (machine.driver.empty()) return {"GPU", true, "none: no NVIDIA driver was found"};
  std::string text = fmt::format("driver for CUDA up to {}", machine.driver);
  if (machine.gpus.empty()) text += fmt::format("; no GPU ({})", machine.obstacle);
  for (std::size_t index = 0; index < machine.gpus.size(); ++index) {
    const trainer::Gpu& gpu = machine.gpus[index];
    text += fmt::format("; GPU {}: {}, {}, {:.1f} GiB, compute capability {}.{}", index, gpu.name,
                        gpu.bus_id, static_cast<double>(gpu.memory_bytes) / (1 << 30), gpu.major,
                        gpu.minor);
  }
  return {"GPU", true, text};
}

Finding choice(distributed::Communicator& communicator, const trainer::Machine& machine) {
  try {
    const trainer::DeviceChoice chosen =
        trainer::agree_on_device(communicator, trainer::Runtime::AUTO, machine);
    std::string text = fmt::format("rank {} would compute {}", communicator.rank(), chosen.reason);
    if (chosen.gpu) text += "; but " + trainer::cpu_reason(machine);
    return {"device", true, text};
  } catch (const ConfigError& error) {
    return {"device", false, error.what()};
  }
}

}  // namespace

std::vector<Finding> gpu_findings(distributed::Communicator& communicator,
                                  const trainer::Machine& machine) {
  return {build(machine), gpus(machine), choice(communicator, machine)};
}

}  // namespace sbm::launch
