#pragma once

#include <memory>

#include "distributed/nccl_library.h"

namespace sbm::distributed {

/// The NCCL that this program is linked with.
std::unique_ptr<NcclLibrary> make_nccl_library();

}  // namespace sbm::distributed
