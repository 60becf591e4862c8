#include "distributed/communicator.h"

#include "base/error.h"
#include "distributed/lasting_memory.h"

namespace sbm::distributed {
namespace {

class SilentNotices final : public FailureNotices {
 public:
  void tell(const std::string&) noexcept override {}
  [[nodiscard]] std::optional<std::string> poll() override { return std::nullopt; }
};

void require_host_memory(const Communicator& communicator, const char* operation) {
  if (communicator.memory() != MemoryKind::kHost) {
    throw InternalError(std::string(operation) +
                        ": expected a communicator of host memory, found one of device memory");
  }
}

}  // namespace

std::unique_ptr<FailureNotices> make_silent_notices() { return std::make_unique<SilentNotices>(); }

std::vector<std::string> all_gather_strings(Communicator& communicator, const std::string& mine) {
  require_host_memory(communicator, "all_gather_strings");
  const auto ranks = static_cast<std::size_t>(communicator.world_size());
  const LastingVector<std::uint64_t> own_length = {mine.size()};
  LastingVector<std::uint64_t> lengths(ranks);
  std::vector<std::size_t> offsets(ranks + 1);
  for (std::size_t r = 0; r <= ranks; ++r) offsets[r] = r * sizeof(std::uint64_t);
  communicator
      .all_gather(std::as_bytes(std::span(own_length)), std::as_writable_bytes(std::span(lengths)),
                  offsets)
      ->wait();

  for (std::size_t r = 0; r < ranks; ++r) offsets[r + 1] = offsets[r] + lengths[r];
  const LastingVector<char> own(mine.begin(), mine.end());
  LastingVector<char> all(offsets[ranks]);
  communicator
      .all_gather(std::as_bytes(std::span(own)), std::as_writable_bytes(std::span(all)), offsets)
      ->wait();

  std::vector<std::string> strings(ranks);
  for (std::size_t r = 0; r < ranks; ++r) {
    strings[r].assign(all.data() + offsets[r], lengths[r]);
  }
  return strings;
}

std::string broadcast_string(Communicator& communicator, const std::string& value, int root) {
  require_host_memory(communicator, "broadcast_string");
  LastingVector<std::uint64_t> length = {value.size()};
  communicator.broadcast(std::as_writable_bytes(std::span(length)), root)->wait();
  LastingVector<char> result(value.begin(), value.end());
  result.resize(length[0]);
  communicator.broadcast(std::as_writable_bytes(std::span(result)), root)->wait();
  return {result.begin(), result.end()};
}

}  // namespace sbm::distributed
