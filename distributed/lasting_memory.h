#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

// Memory for the buffers of collectives. When one is given up unfinished (a peer missed its
// deadline), MPI still holds the addresses, and a late message, or a network card that writes by
// itself, would write into whatever lies there by then; neither a receive that has begun nor a
// non-blocking collective can be taken back. The process is about to end in that case, so such
// buffers are leaked on purpose: from then on nothing of this kind is freed any more.
namespace sbm::distributed {

inline std::atomic<bool> lasting_memory_is_kept{false};

/// From now on the memory of every LastingAllocator in this process stays. For the one who gives an
/// operation up, before its buffers go.
inline void keep_lasting_memory() noexcept { lasting_memory_is_kept.store(true); }

/// Allocates like std::allocator; frees unless keep_lasting_memory() was called.
template <typename T>
struct LastingAllocator {
  using value_type = T;
  LastingAllocator() = default;
  template <typename Other>
  LastingAllocator(const LastingAllocator<Other>&) noexcept {}

  T* allocate(std::size_t count) { return std::allocator<T>().allocate(count); }
  void deallocate(T* memory, std::size_t count) noexcept {
    if (!lasting_memory_is_kept.load()) std::allocator<T>().deallocate(memory, count);
  }
  template <typename Other>
  bool operator==(const LastingAllocator<Other>&) const noexcept {
    return true;
  }
};

/// A buffer for collectives.
template <typename T>
using LastingVector = std::vector<T, LastingAllocator<T>>;

}  // namespace sbm::distributed
