#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "distributed/lasting_memory.h"

namespace sbm::distributed {

/// Floats at a 64-byte boundary, zero at first: the alignment that LibTorch's own tensors have, so
/// that vectorised loops over views of the buffer take the same path in every run. Lasting memory:
/// collectives may use it.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(std::size_t size)
      : data_(static_cast<float*>(::operator new[](size * sizeof(float), kAlignment))),
        size_(size) {
    std::fill_n(data_.get(), size, 0.0F);
  }

  [[nodiscard]] std::span<float> span() const { return {data_.get(), size_}; }
  [[nodiscard]] float* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Delete {
    void operator()(float* data) const {
      if (!lasting_memory_is_kept.load()) ::operator delete[](data, kAlignment);
    }
  };
  std::unique_ptr<float[], Delete> data_;
  std::size_t size_ = 0;
};

}  // namespace sbm::distributed
