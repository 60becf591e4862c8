#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda_host/runtime/memory.h"
#include "cuda_host/runtime/thread.h"

// The race detector. Order within a block comes from block barriers and __syncwarp alone, as CUDA
// says: shuffles, votes and matrix products order nothing. Nothing orders two blocks. Only the race
// build checks accesses; the others call these functions, which then do nothing.
namespace sbm::cuda_host::race {

enum class Kind : std::uint8_t { kRead, kWrite, kAtomic };

/// A launch begins: whatever was before precedes it.
void begin_launch();
/// A block begins: its threads are ordered with nothing but what was before the launch.
void begin_block();
/// All threads of the block have met at a barrier.
void order_block();
/// The lanes of `mask` have met at a __syncwarp.
void order_lanes(Thread* const* lanes, std::uint32_t mask);

/// `thread` touches bytes of `region`; fails the block where the access is unordered with another
/// one, or reads what nobody has written.
void access(Thread& thread, Region& region, const void* address, std::size_t bytes, Kind kind,
            const void* code);
/// As access() of any address: also fails outside every range that kernels may touch.
void access_anywhere(Thread& thread, const void* address, std::size_t bytes, Kind kind,
                     const void* code);
/// A cp.async to these bytes is under way: reading them is an error until it has landed.
void mark_in_flight(Region& region, const void* address, std::size_t bytes);
/// The host has written these bytes, or poisoned them.
void mark(Region& region, const void* address, std::size_t bytes, Content content);

}  // namespace sbm::cuda_host::race
