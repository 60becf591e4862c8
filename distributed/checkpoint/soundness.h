#pragma once

#include <string>

#include "distributed/checkpoint/durable_file.h"

namespace sbm::distributed::checkpoint {

/// What is wrong with the checkpoint `name` in `parent`: empty when every hash is right. Throws
/// FileError when that cannot be told (too many open files, no permission): such a checkpoint must
/// not be taken for a damaged one.
std::string damage_of(const Directory& parent, const std::string& name);

}  // namespace sbm::distributed::checkpoint
