#include "distributed/mpi_check.h"

#include <mpi.h>

#include <array>
#include <filesystem>

#include "base/error.h"

namespace sbm::distributed {

void check_mpi(int code, std::string_view call, const std::string& who,
               std::source_location where) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  if (MPI_Error_string(code, text.data(), &length) != MPI_SUCCESS) length = 0;
  const std::string reason = length > 0 ? std::string(text.data(), static_cast<std::size_t>(length))
                                        : "error code " + std::to_string(code);
  throw CommunicationError(std::string(call) + " failed on " + who + ": " + reason + " (" +
                           std::filesystem::path(where.file_name()).filename().string() + ":" +
                           std::to_string(where.line()) + ")");
}

}  // namespace sbm::distributed
