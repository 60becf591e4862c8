#include "distributed/checkpoint/soundness.h"

#include <cerrno>

#include "distributed/checkpoint/checkpoint_reader.h"

namespace sbm::distributed::checkpoint {
namespace {

// Codes that speak of what lies on the disk rather than of this process or this moment.
bool is_damage(int code) {
  return code == EIO || code == ENOENT || code == ENOTDIR || code == ELOOP || code == EISDIR ||
         code == ENXIO;
}

}  // namespace

std::string damage_of(const Directory& parent, const std::string& name) {
  try {
    CheckpointReader(parent.open_directory(name)).verify();
  } catch (const FileError& error) {
    if (!is_damage(error.code())) throw;
    return error.what();
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return {};
}

}  // namespace sbm::distributed::checkpoint
