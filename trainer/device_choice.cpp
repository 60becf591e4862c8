#include "trainer/device_choice.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>

#include "base/error.h"

namespace sbm::trainer {
namespace {

// Why GPU number `index` cannot be, or nothing.
std::string obstacle(const Machine& machine, std::size_t index) {
  if (!machine.built_with_cuda) {
    return "this program was built without CUDA (./launch/setup.sh --cuda, then cmake --preset "
           "cuda)";
  }
  if (machine.driver.empty()) return "no NVIDIA driver was found";
  if (machine.gpus.empty()) return fmt::format("no GPU was found ({})", machine.obstacle);
  const Gpu& gpu = machine.gpus.at(index);
  if (gpu.major < kLeastMajor) {
    return fmt::format("{} has compute capability {}.{}, below the {}.0 of the kernels", gpu.name,
                       gpu.major, gpu.minor, kLeastMajor);
  }
  return {};
}

std::string host_id_of_this_process() {
  const char* value = std::getenv("NCCL_HOSTID");
  return value == nullptr ? std::string() : value;
}

std::string pack(const RankDevice& device) {
  return device.host + '\n' + device.bus_id + '\n' + device.host_id;
}

RankDevice unpack(const std::string& text) {
  const std::size_t first = text.find('\n');
  const std::size_t second = text.find('\n', first + 1);
  return {text.substr(0, first), text.substr(first + 1, second - first - 1),
          text.substr(second + 1)};
}

// Every rank throws the first one's complaint.
void throw_together(distributed::Communicator& communicator, const std::string& mine) {
  const auto complaints = distributed::all_gather_strings(communicator, mine);
  for (std::size_t rank = 0; rank < complaints.size(); ++rank) {
    if (complaints[rank].empty()) continue;
    throw ConfigError(communicator.world_size() == 1
                          ? complaints[rank]
                          : fmt::format("rank {}: {}", rank, complaints[rank]));
  }
}

}  // namespace

DeviceChoice choose_device(Runtime::Device wanted, const Machine& machine, int local_rank) {
  if (wanted == Runtime::CPU) return {std::nullopt, "on the CPU, as runtime.device says"};
  const std::size_t index =
      machine.gpus.empty() ? 0 : static_cast<std::size_t>(local_rank) % machine.gpus.size();
  const std::string why_not = obstacle(machine, index);
  if (why_not.empty()) {
    const Gpu& gpu = machine.gpus[index];
    return {static_cast<int>(index),
            fmt::format("on GPU {}, {} ({}), compute capability {}.{}", index, gpu.name, gpu.bus_id,
                        gpu.major, gpu.minor)};
  }
  if (wanted == Runtime::CUDA) {
    throw ConfigError("runtime.device: expected a machine for CUDA: " + why_not +
                      "; AUTO or CPU computes on the CPU");
  }
  return {std::nullopt, "on the CPU: " + why_not};
}

std::string cpu_reason(const Machine& machine) {
  const std::string why_not = obstacle(machine, 0);
  return "this version computes on the CPU: " +
         (why_not.empty() ? "training on GPUs is not there yet" : why_not);
}

void require_own_gpus(const std::vector<RankDevice>& ranks) {
  std::map<std::pair<std::string, std::string>, std::size_t> owners;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankDevice& device = ranks[rank];
    if (device.bus_id.empty() != ranks.front().bus_id.empty()) {
      const std::size_t on_cpu = device.bus_id.empty() ? rank : 0;
      const std::size_t on_gpu = device.bus_id.empty() ? 0 : rank;
      throw ConfigError(fmt::format(
          "runtime.device: expected all ranks on GPUs or all on CPUs, found rank {} on {} with GPU "
          "{} and rank {} on {} without one; set runtime.device to CPU, or start ranks on hosts "
          "with GPUs alone",
          on_gpu, ranks[on_gpu].host, ranks[on_gpu].bus_id, on_cpu, ranks[on_cpu].host));
    }
    if (device.bus_id.empty()) continue;
    const std::string& place = device.host_id.empty() ? device.host : device.host_id;
    const auto [owner, is_new] = owners.try_emplace({place, device.bus_id}, rank);
    if (is_new) continue;
    throw ConfigError(fmt::format(
        "runtime.device: expected a GPU for each rank, found ranks {} and {} on host {} with one "
        "GPU, {}; start at most as many ranks a host as it has GPUs (mpirun --map-by "
        "ppr:GPUS:node), or set runtime.device to CPU. For tests, ranks that each have an "
        "NCCL_HOSTID of their own may share one",
        owner->second, rank, device.host, device.bus_id));
  }
}

DeviceChoice agree_on_device(distributed::Communicator& communicator, Runtime::Device wanted,
                             const Machine& machine) {
  DeviceChoice choice;
  std::string complaint;
  try {
    choice = choose_device(wanted, machine, communicator.local_rank());
  } catch (const ConfigError& error) {
    complaint = error.what();
  }
  throw_together(communicator, complaint);
  RankDevice mine{communicator.host(), {}, host_id_of_this_process()};
  if (choice.gpu) mine.bus_id = machine.gpus[static_cast<std::size_t>(*choice.gpu)].bus_id;
  std::vector<RankDevice> ranks;
  for (const std::string& text : distributed::all_gather_strings(communicator, pack(mine))) {
    ranks.push_back(unpack(text));
  }
  require_own_gpus(ranks);
  return choice;
}

}  // namespace sbm::trainer
