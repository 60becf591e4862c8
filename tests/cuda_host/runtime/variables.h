#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <type_traits>

namespace sbm::cuda_host {

// Constant while a kernel runs: the compiler may keep what they return.
[[gnu::const]] uint3 thread_index() noexcept;
[[gnu::const]] uint3 block_index() noexcept;
[[gnu::const]] dim3 block_dimensions() noexcept;
[[gnu::const]] dim3 grid_dimensions() noexcept;

void* shared_array(const void* declaration, const char* name, std::size_t bytes);
void* dynamic_shared();

template <class Type, std::size_t count>
Type (&shared_array(const void* declaration, const char* name))[count] {
  static_assert(std::is_trivially_default_constructible_v<Type>,
                "shared arrays are not initialised");
  return *static_cast<Type(*)[count]>(shared_array(declaration, name, sizeof(Type) * count));
}

}  // namespace sbm::cuda_host
