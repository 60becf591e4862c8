#include "launch/version.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/common.h>
#include <mpi.h>
#include <torch/headeronly/version.h>

#include "kernels/sampling.h"

namespace sbm::launch {

std::string version_text() {
  return fmt::format(
      "sbm {} ({})\ncompiler   g++ {}\nLibTorch   {}\nMPI        Open MPI {}.{}.{}\nprotobuf   {}\n"
      "sampler    version {}",
      SBM_VERSION, SBM_COMMIT, __VERSION__, TORCH_VERSION, OMPI_MAJOR_VERSION, OMPI_MINOR_VERSION,
      OMPI_RELEASE_VERSION, google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION),
      kernels::kSamplerVersion);
}

std::string short_version_text() {
  return fmt::format("sbm {} ({}), LibTorch {}", SBM_VERSION, SBM_COMMIT, TORCH_VERSION);
}

}  // namespace sbm::launch
