#include "base/error.h"
#include "distributed/device_communicator.h"

namespace sbm::distributed {

std::unique_ptr<Communicator> make_device_communicator(Communicator&, int, std::function<void*()>,
                                                       std::chrono::seconds) {
  throw ConfigError("this program was built without CUDA: it has no communicator for GPUs");
}

std::optional<std::string> device_communicator_version() { return std::nullopt; }

}  // namespace sbm::distributed
