#include "cuda_host/runtime/variables.h"

#include "cuda_host/runtime/block.h"
#include "cuda_host/runtime/shared_memory.h"

namespace sbm::cuda_host {

uint3 thread_index() noexcept { return Block::running()->index; }
uint3 block_index() noexcept { return Block::current().index(); }
dim3 block_dimensions() noexcept { return Block::current().grid().block; }
dim3 grid_dimensions() noexcept { return Block::current().grid().grid; }

void* shared_array(const void* declaration, const char* name, std::size_t bytes) {
  const Outside outside;
  return SharedMemory::current().array(declaration, name, bytes);
}

void* dynamic_shared() {
  const Outside outside;
  return SharedMemory::current().dynamic();
}

}  // namespace sbm::cuda_host
