#include "distributed/collective_arguments.h"

#include <cstring>
#include <limits>
#include <string>

#include "base/error.h"

namespace sbm::distributed {
namespace {

std::string text(std::string_view operation, std::string_view buffer) {
  return std::string(operation) + ", " + std::string(buffer) + " buffer: ";
}

}  // namespace

void check_offsets(std::string_view operation, std::string_view buffer,
                   std::span<const std::size_t> offsets, std::size_t bytes, int world_size) {
  const auto expected = static_cast<std::size_t>(world_size) + 1;
  if (offsets.size() != expected) {
    throw InternalError(text(operation, buffer) + "expected " + std::to_string(expected) +
                        " offsets, found " + std::to_string(offsets.size()));
  }
  for (std::size_t r = 0; r + 1 < offsets.size(); ++r) {
    if (offsets[r] > offsets[r + 1]) {
      throw InternalError(text(operation, buffer) + "the part of rank " + std::to_string(r) +
                          " begins at byte " + std::to_string(offsets[r]) +
                          " and ends before, at " + std::to_string(offsets[r + 1]));
    }
  }
  if (offsets.back() > bytes) {
    throw InternalError(text(operation, buffer) + "the last part ends at byte " +
                        std::to_string(offsets.back()) + " of " + std::to_string(bytes));
  }
}

void check_own_part(std::string_view operation, std::size_t sent, std::size_t received, int rank) {
  if (sent != received) {
    throw InternalError(std::string(operation) + ": rank " + std::to_string(rank) + " sends " +
                        std::to_string(sent) + " bytes to itself but expects " +
                        std::to_string(received));
  }
}

void check_equal_parts(std::string_view operation, std::size_t values, std::size_t own,
                       int world_size) {
  const auto ranks = static_cast<std::size_t>(world_size);
  const bool countable = own <= static_cast<std::size_t>(std::numeric_limits<int>::max());
  if (countable && values == own * ranks) return;
  throw InternalError(std::string(operation) + ": expected " + std::to_string(world_size) +
                      " parts of at most 2^31 - 1 values each, found " + std::to_string(values) +
                      " values for parts of " + std::to_string(own));
}

void check_root(std::string_view operation, int root, int world_size) {
  if (root < 0 || root >= world_size) {
    throw InternalError(std::string(operation) + ": root " + std::to_string(root) +
                        " is no rank of a group of " + std::to_string(world_size));
  }
}

void copy_own_part(std::span<const std::byte> from, std::span<std::byte> to) {
  // memmove with a null pointer is undefined even for no bytes, and empty spans have one.
  if (!from.empty()) std::memmove(to.data(), from.data(), from.size());
}

}  // namespace sbm::distributed
