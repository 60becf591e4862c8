#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace sbm::data {

/// Makes blocks 0, 1, 2, ... by `make(block)` on `threads` threads and hands them to the calling
/// thread's `take(block)` in order, until it returns false. What `take` sees does not depend on the
/// threads. At most 4 * threads blocks are in memory. An exception of `make` or `take` ends the
/// work and is rethrown here, at its place in the order.
template <typename Block>
class OrderedBlocks {
 public:
  using Make = std::function<Block(std::uint64_t)>;
  using Take = std::function<bool(Block)>;

  static void run(int threads, const Make& make, const Take& take) {
    if (threads <= 1) {
      for (std::uint64_t block = 0; take(make(block)); ++block) {
      }
      return;
    }
    OrderedBlocks blocks(threads, make);
    while (take(blocks.next())) {
    }
  }

 private:
  struct Made {
    Block block;
    std::exception_ptr failure;
  };

  OrderedBlocks(int threads, const Make& make)
      : make_(make), made_(4 * static_cast<std::size_t>(threads)) {
    try {
      for (int i = 0; i < threads; ++i) {
        workers_.emplace_back([this] { work(); });
      }
    } catch (...) {
      // The system has no more threads: those that began must end before this object does.
      stop();
      throw;
    }
  }

  ~OrderedBlocks() { stop(); }

  void stop() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  Block next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return slot(taken_).has_value(); });
    Made made = std::move(*slot(taken_));
    slot(taken_).reset();
    ++taken_;
    lock.unlock();
    changed_.notify_all();
    if (made.failure) std::rethrow_exception(made.failure);
    return std::move(made.block);
  }

  std::optional<Made>& slot(std::uint64_t block) { return made_[block % made_.size()]; }

  void work() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || begun_ < taken_ + made_.size(); });
      if (stopping_) return;
      const std::uint64_t block = begun_++;
      lock.unlock();
      Made made;
      try {
        made.block = make_(block);
      } catch (...) {
        made.failure = std::current_exception();
      }
      lock.lock();
      slot(block) = std::move(made);
      lock.unlock();
      changed_.notify_all();
    }
  }

  const Make& make_;
  std::mutex mutex_;
  std::condition_variable changed_;
  // A ring for the blocks from taken_ on. It has its whole size from the start: a worker that had
  // to allocate here could not hand on the failure.
  std::vector<std::optional<Made>> made_;
  std::uint64_t begun_ = 0;
  std::uint64_t taken_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace sbm::data
