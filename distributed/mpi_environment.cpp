#include "distributed/mpi_environment.h"

#include <mpi.h>

#include <charconv>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

#include "base/error.h"
#include "distributed/mpi_check.h"
#include "distributed/mpi_communicator.h"

namespace sbm::distributed {
namespace {

const std::string kStarting = "a process that starts";

/// The world size that the launcher promised, or 0 when it tells none.
int announced_world_size() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    const char* value = std::getenv(name);
    if (value == nullptr) continue;
    const std::string_view text(value);
    int size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error == std::errc() && end == text.data() + text.size()) return size;
  }
  return 0;
}

}  // namespace

bool MpiEnvironment::launched_by_mpi() {
  // Not SLURM_PROCID: a batch script has it too, without any MPI to talk to.
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK"}) {
    if (std::getenv(name) != nullptr) return true;
  }
  return false;
}

MpiEnvironment::MpiEnvironment() : exceptions_at_start_(std::uncaught_exceptions()) {
  if (!launched_by_mpi()) return;
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread",
            kStarting);
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler",
            kStarting);
  initialised_ = true;
  if (provided < MPI_THREAD_FUNNELED) {
    throw CommunicationError("MPI offers thread level " + std::to_string(provided) +
                             ", expected at least MPI_THREAD_FUNNELED (" +
                             std::to_string(MPI_THREAD_FUNNELED) + ")");
  }
  int size = 0;
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size), "MPI_Comm_size", kStarting);
  const int announced = announced_world_size();
  if (announced != 0 && announced != size) {
    throw CommunicationError("the launcher started " + std::to_string(announced) +
                             " ranks, but MPI knows " + std::to_string(size) +
                             ": mpirun belongs to another MPI than the one this program is "
                             "linked with");
  }
}

MpiEnvironment::~MpiEnvironment() {
  // MPI_Finalize waits for every rank. While an error unwinds the peers may never come; a process
  // that ends without it makes the launcher end the others and report its exit code.
  if (initialised_ && std::uncaught_exceptions() == exceptions_at_start_) MPI_Finalize();
}

std::unique_ptr<Communicator> MpiEnvironment::world() const {
  if (!initialised_) return make_single_process_communicator();
  return std::make_unique<MpiCommunicator>(MPI_COMM_WORLD);
}

}  // namespace sbm::distributed
