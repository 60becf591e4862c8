#pragma once

#include <source_location>
#include <string>
#include <string_view>

namespace sbm::distributed {

/// The one place where MPI's return codes become errors: throws CommunicationError with MPI's text,
/// the call, file, line and `who` (rank and host) unless `code` is MPI_SUCCESS.
void check_mpi(int code, std::string_view call, const std::string& who,
               std::source_location where = std::source_location::current());

}  // namespace sbm::distributed
