#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "hwy/aligned_allocator.h"

// Memory that the sampler and the edge-list attention work in: taken once a call and thread, reused
// by its heads.
namespace sbm::kernels::cpu {

/// Buffers are as long as whole vectors of the widest instruction set, so the vector that covers
/// the last element stays inside.
inline constexpr std::int64_t kWidestLanes = 16;

/// Uninitialised aligned memory that only grows.
template <typename T>
class AlignedBuffer {
 public:
  /// Makes room for `count` elements and one more vector. What was there is lost when it grows.
  /// Throws std::bad_alloc.
  T* reserve(std::size_t count) {
    const std::size_t needed = count + kWidestLanes;
    if (needed > capacity_) {
      memory_.reset();
      capacity_ = 0;
      memory_ = hwy::AllocateAligned<T>(needed);
      if (memory_ == nullptr) throw std::bad_alloc();
      capacity_ = needed;
    }
    return memory_.get();
  }
  [[nodiscard]] T* data() const { return memory_.get(); }

 private:
  hwy::AlignedFreeUniquePtr<T[]> memory_;
  std::size_t capacity_ = 0;
};

/// Rows of a matrix that SIMD code reads in whole vectors.
struct Rows {
  const float* data = nullptr;
  std::int64_t stride = 0;

  [[nodiscard]] const float* operator[](std::int64_t row) const { return data + row * stride; }
};

/// Rows of memberships rounded to bfloat16.
struct HalfRows {
  const std::uint16_t* data = nullptr;
  std::int64_t stride = 0;

  [[nodiscard]] const std::uint16_t* operator[](std::int64_t row) const {
    return data + row * stride;
  }
};

/// Rows as they lie when their width is whole vectors, else a copy padded with zeros.
class PaddedRows {
 public:
  /// `padded` is `width` rounded up to whole vectors. Throws std::bad_alloc.
  Rows view(Rows rows, std::int64_t count, std::int64_t width, std::int64_t padded) {
    if (width == padded) return rows;
    float* copy = copy_.reserve(static_cast<std::size_t>(count * padded));
    for (std::int64_t i = 0; i < count; ++i) {
      float* row = copy + i * padded;
      std::memcpy(row, rows[i], static_cast<std::size_t>(width) * sizeof(float));
      std::memset(row + width, 0, static_cast<std::size_t>(padded - width) * sizeof(float));
    }
    return {copy, padded};
  }

 private:
  AlignedBuffer<float> copy_;
};

/// What one row of the graph needs while it is worked on.
class RowScratch {
 public:
  /// `width`: of the widest row, padded; `edges`: of the longest row. Throws std::bad_alloc.
  void reserve(std::int64_t width, std::int64_t edges, bool dropout) {
    const auto width_size = static_cast<std::size_t>(width);
    const auto edges_size = static_cast<std::size_t>(edges);
    query_.reserve(width_size);
    grad_output_.reserve(width_size);
    sum_.reserve(width_size);
    edge_values_.reserve(4 * (edges_size + kWidestLanes));
    if (!dropout) return;
    factors_.reserve(edges_size);
    groups_.reserve(edges_size);
    places_.reserve(edges_size);
    words_.reserve(4 * (edges_size + kWidestLanes));
  }

  [[nodiscard]] float* query() const { return query_.data(); }
  [[nodiscard]] float* grad_output() const { return grad_output_.data(); }
  [[nodiscard]] float* sum() const { return sum_.data(); }
  [[nodiscard]] float* edge_values() const { return edge_values_.data(); }
  [[nodiscard]] float* factors() const { return factors_.data(); }
  [[nodiscard]] std::uint32_t* groups() const { return groups_.data(); }
  [[nodiscard]] std::int32_t* places() const { return places_.data(); }
  [[nodiscard]] std::uint32_t* words() const { return words_.data(); }

 private:
  AlignedBuffer<float> query_;
  AlignedBuffer<float> grad_output_;
  AlignedBuffer<float> sum_;
  AlignedBuffer<float> edge_values_;
  AlignedBuffer<float> factors_;
  AlignedBuffer<std::uint32_t> groups_;
  AlignedBuffer<std::int32_t> places_;
  AlignedBuffer<std::uint32_t> words_;
};

/// Lends each running piece of work a T of its own; there are as many as ran at once.
template <typename T>
class ScratchPool {
 public:
  class Lease {
   public:
    Lease(ScratchPool& pool, std::unique_ptr<T> scratch)
        : pool_(pool), scratch_(std::move(scratch)) {}
    ~Lease() { pool_.give_back(std::move(scratch_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    T& operator*() const { return *scratch_; }
    T* operator->() const { return scratch_.get(); }

   private:
    ScratchPool& pool_;
    std::unique_ptr<T> scratch_;
  };

  /// Throws std::bad_alloc.
  Lease lend() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_.empty()) {
      free_.reserve(++created_);
      return Lease(*this, std::make_unique<T>());
    }
    std::unique_ptr<T> scratch = std::move(free_.back());
    free_.pop_back();
    return Lease(*this, std::move(scratch));
  }

 private:
  void give_back(std::unique_ptr<T> scratch) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(std::move(scratch));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> free_;
  std::size_t created_ = 0;
};

}  // namespace sbm::kernels::cpu
