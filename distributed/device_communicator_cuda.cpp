#include <fmt/format.h>

#include <utility>

#include "distributed/device_communicator.h"
#include "distributed/device_stream_cuda.h"
#include "distributed/nccl_communicator.h"
#include "distributed/nccl_library_cuda.h"

namespace sbm::distributed {

std::unique_ptr<Communicator> make_device_communicator(Communicator& control, int gpu,
                                                       std::function<void*()> current_stream,
                                                       std::chrono::seconds timeout) {
  NcclParts parts{.library = make_nccl_library(),
                  .streams = make_cuda_streams(gpu, std::move(current_stream)),
                  .notices = control.make_failure_notices()};
  return std::make_unique<NcclCommunicator>(control, std::move(parts), timeout);
}

std::optional<std::string> device_communicator_version() {
  const auto library = make_nccl_library();
  int code = 0;
  if (library->library_version(code) != NcclResult::kSuccess) code = 0;
  return fmt::format("NCCL {} (built with the headers of {})", nccl_version_text(code),
                     nccl_version_text(library->header_version()));
}

}  // namespace sbm::distributed
