#include <unistd.h>

#include <array>
#include <string>

#include "base/error.h"
#include "distributed/collective_arguments.h"
#include "distributed/communicator.h"

namespace sbm::distributed {
namespace {

class FinishedWork final : public Work {
 public:
  void wait() override {}
};

class SingleProcess final : public Communicator {
 public:
  SingleProcess() {
    // POSIX: a name that does not fit need not be terminated; the last byte stays zero.
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) == 0) host_ = name.data();
    if (host_.empty()) host_ = "localhost";
  }

  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] int world_size() const override { return 1; }
  [[nodiscard]] int local_rank() const override { return 0; }
  [[nodiscard]] const std::string& host() const override { return host_; }

  void set_timeout(std::chrono::seconds) override {}
  void set_step(std::int64_t) override {}

  std::unique_ptr<Work> all_to_all(std::span<const std::byte> send,
                                   std::span<const std::size_t> send_offsets,
                                   std::span<std::byte> receive,
                                   std::span<const std::size_t> receive_offsets) override {
    check_offsets("all_to_all", "send", send_offsets, send.size(), 1);
    check_offsets("all_to_all", "receive", receive_offsets, receive.size(), 1);
    const std::size_t bytes = send_offsets[1] - send_offsets[0];
    const std::size_t received = receive_offsets[1] - receive_offsets[0];
    check_own_part("all_to_all", bytes, received, 0);
    copy_own_part(send.subspan(send_offsets[0], bytes),
                  receive.subspan(receive_offsets[0], received));
    return std::make_unique<FinishedWork>();
  }

  std::unique_ptr<Work> all_gather(std::span<const std::byte> send, std::span<std::byte> receive,
                                   std::span<const std::size_t> receive_offsets) override {
    check_offsets("all_gather", "receive", receive_offsets, receive.size(), 1);
    const std::size_t received = receive_offsets[1] - receive_offsets[0];
    check_own_part("all_gather", send.size(), received, 0);
    copy_own_part(send, receive.subspan(receive_offsets[0], received));
    return std::make_unique<FinishedWork>();
  }

  std::unique_ptr<Work> all_reduce_sum(std::span<std::int64_t>) override {
    return std::make_unique<FinishedWork>();
  }
  std::unique_ptr<Work> reduce_scatter_sum(std::span<const std::int64_t> values,
                                           std::span<std::int64_t> own) override {
    check_equal_parts("reduce_scatter_sum", values.size(), own.size(), 1);
    copy_own_part(std::as_bytes(values), std::as_writable_bytes(own));
    return std::make_unique<FinishedWork>();
  }
  std::unique_ptr<Work> broadcast(std::span<std::byte>, int root) override {
    check_root("broadcast", root, 1);
    return std::make_unique<FinishedWork>();
  }
  std::unique_ptr<Work> barrier() override { return std::make_unique<FinishedWork>(); }

  std::unique_ptr<FailureNotices> make_failure_notices() override { return make_silent_notices(); }

  [[noreturn]] void abort(int exit_code) override {
    throw CommunicationError("the single process of this run was asked to abort with exit code " +
                             std::to_string(exit_code));
  }

 private:
  std::string host_;
};

}  // namespace

std::unique_ptr<Communicator> make_single_process_communicator() {
  return std::make_unique<SingleProcess>();
}

}  // namespace sbm::distributed
