#include "distributed/communicator.h"

namespace sbm::distributed {

std::vector<std::string> all_gather_strings(Communicator& communicator, const std::string& mine) {
  const auto ranks = static_cast<std::size_t>(communicator.world_size());
  const auto own_length = static_cast<std::uint64_t>(mine.size());
  std::vector<std::uint64_t> lengths(ranks);
  std::vector<std::size_t> offsets(ranks + 1);
  for (std::size_t r = 0; r <= ranks; ++r) offsets[r] = r * sizeof(std::uint64_t);
  communicator
      .all_gather(std::as_bytes(std::span(&own_length, 1)),
                  std::as_writable_bytes(std::span(lengths)), offsets)
      ->wait();

  for (std::size_t r = 0; r < ranks; ++r) offsets[r + 1] = offsets[r] + lengths[r];
  std::string all(offsets[ranks], '\0');
  communicator
      .all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)), offsets)
      ->wait();

  std::vector<std::string> strings(ranks);
  for (std::size_t r = 0; r < ranks; ++r) {
    strings[r] = all.substr(offsets[r], offsets[r + 1] - offsets[r]);
  }
  return strings;
}

std::string broadcast_string(Communicator& communicator, const std::string& value, int root) {
  auto length = static_cast<std::uint64_t>(value.size());
  communicator.broadcast(std::as_writable_bytes(std::span(&length, 1)), root)->wait();
  std::string result = communicator.rank() == root ? value : std::string(length, '\0');
  communicator.broadcast(std::as_writable_bytes(std::span(result)), root)->wait();
  return result;
}

}  // namespace sbm::distributed
