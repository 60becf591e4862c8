#include <cstring>
#include <string>

#include "cuda_host/ptx.h"
#include "cuda_host/runtime/block.h"
#include "cuda_host/runtime/memory.h"
#include "cuda_host/runtime/poison.h"
#include "cuda_host/runtime/race.h"
#include "cuda_host/runtime/shared_memory.h"

namespace sbm::kernels::cuda::ptx {
namespace {

using cuda_host::Block;
using cuda_host::Region;
using cuda_host::SharedMemory;
using cuda_host::Thread;
namespace race = cuda_host::race;

constexpr std::size_t kBytes = 16;

bool aligned(const void* address) {
  return reinterpret_cast<std::uintptr_t>(address) % kBytes == 0;
}

}  // namespace

void cp_async_16(void* shared, const void* global, bool valid, const std::source_location& where) {
  const cuda_host::Outside outside;
  Block& block = Block::current();
  Thread& thread = *Block::running();
  const auto fail = [&](const char* problem, const void* address) {
    block.fail("cp_async_16 at " + cuda_host::text(where) + ": " + problem + ", " +
               cuda_host::describe_address(address));
  };
  Region* to = SharedMemory::current().find(shared);
  if (to == nullptr || !to->holds(shared, kBytes))
    fail("destination outside every shared array", shared);
  if (!aligned(shared)) fail("destination is no multiple of 16 bytes", shared);
  if (valid) {
    Region* from = cuda_host::find_global(global);
    if (from == nullptr || !from->holds(global, kBytes))
      fail("source outside every buffer", global);
    if (!aligned(global)) fail("source is no multiple of 16 bytes", global);
    race::access(thread, *from, global, kBytes, race::Kind::kRead, __builtin_return_address(0));
  }
  race::access(thread, *to, shared, kBytes, race::Kind::kWrite, __builtin_return_address(0));
  race::mark_in_flight(*to, shared, kBytes);
  std::memset(shared, cuda_host::kPoisonByte, kBytes);
  thread.copies.push_back({static_cast<char*>(shared),
                           valid ? static_cast<const char*>(global) : nullptr, thread.open_group});
}

void cp_async_commit() { ++Block::running()->open_group; }

void wait_for_copies(int pending) {
  const cuda_host::Outside outside;
  Thread& thread = *Block::running();
  // Groups 0 .. open_group - 1 are committed; those older than the newest `pending` must land.
  const auto landed = static_cast<std::int64_t>(thread.open_group) - pending;
  std::size_t kept = 0;
  for (const cuda_host::AsyncCopy& copy : thread.copies) {
    if (static_cast<std::int64_t>(copy.group) >= landed) {
      thread.copies[kept++] = copy;
      continue;
    }
    if (copy.from == nullptr) {
      std::memset(copy.to, 0, kBytes);
    } else {
      std::memcpy(copy.to, copy.from, kBytes);
    }
    race::access(thread, *SharedMemory::current().find(copy.to), copy.to, kBytes,
                 race::Kind::kWrite, __builtin_return_address(0));
  }
  thread.copies.resize(kept);
}

}  // namespace sbm::kernels::cuda::ptx
