#pragma once

#include <cstddef>
#include <span>
#include <string_view>

// The checks that every Communicator makes before it moves a byte: a wrong offset would overwrite
// memory on a peer, or leave the peers waiting for the deadline.
namespace sbm::distributed {

/// Offsets of world_size parts within a buffer of `bytes`: world_size + 1 entries, ascending, the
/// last within the buffer. Throws InternalError naming `operation` and `buffer`.
void check_offsets(std::string_view operation, std::string_view buffer,
                   std::span<const std::size_t> offsets, std::size_t bytes, int world_size);

/// This rank sends to itself what it receives from itself: the two sizes agree. Throws
/// InternalError.
void check_own_part(std::string_view operation, std::size_t sent, std::size_t received, int rank);

/// One part for each rank: values = world_size * own. Throws InternalError.
void check_equal_parts(std::string_view operation, std::size_t values, std::size_t own,
                       int world_size);

/// 0 <= root < world_size. Throws InternalError.
void check_root(std::string_view operation, int root, int world_size);

/// Copies this rank's own part; the two may be the same memory.
void copy_own_part(std::span<const std::byte> from, std::span<std::byte> to);

}  // namespace sbm::distributed
