#include "cuda_host/runtime/atomics.h"

#include <cstdint>

#include "cuda_host/runtime/block.h"
#include "cuda_host/runtime/memory.h"
#include "cuda_host/runtime/race.h"
#include "cuda_host/runtime/shared_memory.h"

namespace sbm::cuda_host {

void before_atomic(const void* address, std::size_t bytes, const std::source_location& where) {
  const Outside outside;
  Block& block = Block::current();
  block.maybe_yield();
  SharedMemory& shared = SharedMemory::current();
  Region* region = shared.holds(address) ? shared.find(address) : find_global(address);
  if (region == nullptr || !region->holds(address, bytes)) {
    block.fail("atomic at " + text(where) + " outside every array, " + describe_address(address));
  }
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) {
    block.fail("atomic at " + text(where) + " on a misaligned address, " +
               describe_address(address));
  }
  race::access(*Block::running(), *region, address, bytes, race::Kind::kAtomic,
               __builtin_return_address(0));
}

}  // namespace sbm::cuda_host
