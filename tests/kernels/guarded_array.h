#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

namespace sbm::kernels::testing {

/// Numbers whose last one touches a page that may not be read or written: the sanitizers do not see
/// every masked load and store.
template <typename T>
class GuardedArray {
 public:
  GuardedArray(std::int64_t count, T value) : count_(count) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t used = static_cast<std::size_t>(count) * sizeof(T);
    bytes_ = (used + page - 1) / page * page + page;
    mapping_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    auto* guard = static_cast<std::byte*>(mapping_) + bytes_ - page;
    if (mprotect(guard, page, PROT_NONE) != 0) {
      throw std::system_error(errno, std::generic_category(), "mprotect");
    }
    data_ = reinterpret_cast<T*>(guard - used);
    std::fill(begin(), end(), value);
  }
  explicit GuardedArray(const std::vector<T>& values) : GuardedArray(std::ssize(values), T{}) {
    std::copy(values.begin(), values.end(), begin());
  }
  ~GuardedArray() {
    if (mapping_ != nullptr) munmap(mapping_, bytes_);
  }
  GuardedArray(GuardedArray&& other) noexcept
      : mapping_(std::exchange(other.mapping_, nullptr)),
        bytes_(other.bytes_),
        data_(other.data_),
        count_(other.count_) {}
  GuardedArray(const GuardedArray&) = delete;
  GuardedArray& operator=(const GuardedArray&) = delete;
  GuardedArray& operator=(GuardedArray&&) = delete;

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] T* begin() const { return data_; }
  [[nodiscard]] T* end() const { return data_ + count_; }
  [[nodiscard]] std::int64_t size() const { return count_; }

 private:
  void* mapping_ = nullptr;
  std::size_t bytes_ = 0;
  T* data_ = nullptr;
  std::int64_t count_ = 0;
};

}  // namespace sbm::kernels::testing
