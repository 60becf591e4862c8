#include "tests/distributed/local_group.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "distributed/collective_arguments.h"

namespace sbm::distributed {
namespace {

/// One rank's arguments of one operation.
struct Call {
  std::string operation = {};
  std::span<const std::byte> send = {};
  std::vector<std::size_t> send_offsets = {};
  std::span<std::byte> receive = {};
  std::vector<std::size_t> receive_offsets = {};
  std::span<std::int64_t> values = {};
};

std::span<const std::byte> part_of(std::span<const std::byte> buffer,
                                   const std::vector<std::size_t>& offsets, std::size_t rank) {
  return buffer.subspan(offsets[rank], offsets[rank + 1] - offsets[rank]);
}

/// What the ranks share. The last rank to arrive at an operation moves everyone's bytes.
class Meeting {
 public:
  explicit Meeting(int world_size) : ranks_(static_cast<std::size_t>(world_size)) {}

  void arrive(std::size_t number, int rank, Call call) {
    const std::lock_guard lock(mutex_);
    auto& calls = open_[number];
    calls.resize(ranks_);
    for (const auto& other : calls) {
      if (other && other->operation != call.operation) {
        throw InternalError("rank " + std::to_string(rank) + " calls " + call.operation +
                            " while another rank calls " + other->operation);
      }
    }
    calls[static_cast<std::size_t>(rank)] = std::move(call);
    if (!std::all_of(calls.begin(), calls.end(), [](const auto& c) { return c.has_value(); })) {
      return;
    }
    perform(calls);
    open_.erase(number);
    ++finished_;
    changed_.notify_all();
  }

  void wait(std::size_t number, int rank, const std::string& operation,
            std::chrono::seconds timeout) {
    std::unique_lock lock(mutex_);
    const bool done =
        changed_.wait_for(lock, timeout, [&] { return broken_ || number < finished_; });
    if (!done || number >= finished_) {
      throw CommunicationError(operation + " on rank " + std::to_string(rank) +
                               (done ? ": a peer failed" : ": the deadline passed"));
    }
  }

  void break_up() {
    const std::lock_guard lock(mutex_);
    broken_ = true;
    changed_.notify_all();
  }

 private:
  void perform(std::vector<std::optional<Call>>& calls) {
    const std::string& operation = calls[0]->operation;
    if (operation == "all_to_all" || operation == "all_gather") {
      for (std::size_t from = 0; from < ranks_; ++from) {
        for (std::size_t to = 0; to < ranks_; ++to) {
          const auto sent = operation == "all_gather"
                                ? calls[from]->send
                                : part_of(calls[from]->send, calls[from]->send_offsets, to);
          const auto& offsets = calls[to]->receive_offsets;
          const auto target =
              calls[to]->receive.subspan(offsets[from], offsets[from + 1] - offsets[from]);
          if (sent.size() != target.size()) {
            throw InternalError(operation + ": rank " + std::to_string(from) + " sends " +
                                std::to_string(sent.size()) + " bytes, rank " + std::to_string(to) +
                                " expects " + std::to_string(target.size()));
          }
          copy_own_part(sent, target);
        }
      }
    } else if (operation.starts_with("broadcast")) {
      const auto source = std::find_if(
          calls.begin(), calls.end(), [](const auto& call) { return !call->send_offsets.empty(); });
      for (auto& call : calls) copy_own_part((*source)->receive, call->receive);
    } else if (operation == "all_reduce_sum") {
      for (std::size_t i = 0; i < calls[0]->values.size(); ++i) {
        std::int64_t total = calls[0]->values[i];
        for (std::size_t r = 1; r < ranks_; ++r) total += calls[r]->values[i];
        for (auto& call : calls) call->values[i] = total;
      }
    } else if (operation == "reduce_scatter_sum") {
      for (std::size_t to = 0; to < ranks_; ++to) {
        const auto own = calls[to]->values;
        for (std::size_t i = 0; i < own.size(); ++i) {
          own[i] = 0;
          for (const auto& call : calls) {
            std::int64_t term = 0;
            std::memcpy(&term, call->send.data() + (to * own.size() + i) * sizeof(term),
                        sizeof(term));
            own[i] += term;
          }
        }
      }
    }
  }

  std::size_t ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::size_t, std::vector<std::optional<Call>>> open_;
  std::size_t finished_ = 0;  ///< operations finish in order: the last rank to arrive is in order
  bool broken_ = false;
};

class LocalWork final : public Work {
 public:
  LocalWork(Meeting& meeting, std::size_t number, int rank, std::string operation,
            std::chrono::seconds timeout)
      : meeting_(meeting),
        number_(number),
        rank_(rank),
        operation_(std::move(operation)),
        timeout_(timeout) {}
  void wait() override { meeting_.wait(number_, rank_, operation_, timeout_); }

 private:
  Meeting& meeting_;
  std::size_t number_;
  int rank_;
  std::string operation_;
  std::chrono::seconds timeout_;
};

class LocalRank final : public Communicator {
 public:
  LocalRank(Meeting& meeting, int rank, int world_size)
      : meeting_(meeting), rank_(rank), world_size_(world_size) {}

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int world_size() const override { return world_size_; }
  [[nodiscard]] int local_rank() const override { return rank_; }
  [[nodiscard]] const std::string& host() const override { return host_; }
  void set_timeout(std::chrono::seconds timeout) override { timeout_ = timeout; }
  void set_step(std::int64_t) override {}

  std::unique_ptr<Work> all_to_all(std::span<const std::byte> send,
                                   std::span<const std::size_t> send_offsets,
                                   std::span<std::byte> receive,
                                   std::span<const std::size_t> receive_offsets) override {
    check_offsets("all_to_all", "send", send_offsets, send.size(), world_size_);
    check_offsets("all_to_all", "receive", receive_offsets, receive.size(), world_size_);
    return start({.operation = "all_to_all",
                  .send = send,
                  .send_offsets = {send_offsets.begin(), send_offsets.end()},
                  .receive = receive,
                  .receive_offsets = {receive_offsets.begin(), receive_offsets.end()}});
  }
  std::unique_ptr<Work> all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                                   std::span<const std::size_t> receive_offsets) override {
    check_offsets("all_gather", "receive", receive_offsets, receive.size(), world_size_);
    return start({.operation = "all_gather",
                  .send = send,
                  .receive = receive,
                  .receive_offsets = {receive_offsets.begin(), receive_offsets.end()}});
  }
  std::unique_ptr<Work> all_reduce_sum(std::span<std::int64_t> values) override {
    return start({.operation = "all_reduce_sum", .values = values});
  }
  std::unique_ptr<Work> reduce_scatter_sum(std::span<const std::int64_t> values,
                                           std::span<std::int64_t> own) override {
    check_equal_parts("reduce_scatter_sum", values.size(), own.size(), world_size_);
    return start({.operation = "reduce_scatter_sum", .send = std::as_bytes(values), .values = own});
  }
  std::unique_ptr<Work> broadcast(std::span<std::byte> bytes, int root) override {
    check_root("broadcast", root, world_size_);
    // The root is the one call with send offsets.
    return start({.operation = "broadcast from " + std::to_string(root),
                  .send_offsets = std::vector<std::size_t>(rank_ == root ? 1 : 0),
                  .receive = bytes});
  }
  std::unique_ptr<Work> barrier() override { return start({.operation = "barrier"}); }

  std::unique_ptr<FailureNotices> make_failure_notices() override { return make_silent_notices(); }

  [[noreturn]] void abort(int exit_code) override {
    throw CommunicationError("rank " + std::to_string(rank_) + " aborted with exit code " +
                             std::to_string(exit_code));
  }

 private:
  std::unique_ptr<Work> start(Call call) {
    const std::size_t number = next_++;
    auto work = std::make_unique<LocalWork>(meeting_, number, rank_, call.operation, timeout_);
    meeting_.arrive(number, rank_, std::move(call));
    return work;
  }

  Meeting& meeting_;
  int rank_;
  int world_size_;
  std::string host_ = "test";
  std::chrono::seconds timeout_{60};
  std::size_t next_ = 0;
};

}  // namespace

void run_local_group(int world_size, const std::function<void(Communicator&)>& body) {
  Meeting meeting(world_size);
  std::mutex mutex;
  std::exception_ptr first_failure;  // the cause: what comes later may be a mere consequence
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world_size; ++rank) {
    threads.emplace_back([&, rank] {
      LocalRank communicator(meeting, rank, world_size);
      try {
        body(communicator);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first_failure) first_failure = std::current_exception();
        meeting.break_up();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  if (first_failure) std::rethrow_exception(first_failure);
}

}  // namespace sbm::distributed
