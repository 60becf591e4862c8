#include "distributed/checkpoint/moment_gather.h"

#include <algorithm>
#include <cstddef>

namespace sbm::distributed::checkpoint {
namespace {

ElementRange intersect(const ElementRange& left, const ElementRange& right) {
  const std::int64_t begin = std::max(left.begin, right.begin);
  return {begin, std::max(begin, std::min(left.end, right.end))};
}

std::vector<Segment> window_segments(const PlannedFile* file, std::int64_t window) {
  if (file == nullptr) return {};
  return segments_of(*file, window_of(*file, window));
}

template <typename Vector>
void append(Vector& to, std::span<const float> from, std::int64_t begin, std::int64_t count) {
  if (count == 0) return;  // then `begin` may lie outside
  const auto part = from.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
  to.insert(to.end(), part.begin(), part.end());
}

}  // namespace

ElementRange window_of(const PlannedFile& file, std::int64_t window) {
  const std::int64_t elements = file.elements();
  const std::int64_t begin = std::min(window * kWindowElements, elements);
  return {begin, std::min(begin + kWindowElements, elements)};
}

void WindowGatherer::exchange(std::span<const PlannedFile* const> files,
                              const std::vector<Segment>& mine, std::int64_t window) {
  const int ranks = communicator_.world_size();
  const ElementRange my_shard = snapshot_.layout->shard(communicator_.rank(), ranks);
  send_.clear();
  std::vector<std::size_t> send_offsets = {0};
  for (const PlannedFile* file : files) {
    for (const Segment& segment : window_segments(file, window)) {
      if (segment.source == Source::kWeights) continue;
      const ElementRange part = intersect(segment.range, my_shard);
      append(
          send_,
          segment.source == Source::kFirstMoment ? snapshot_.first_moment : snapshot_.second_moment,
          part.begin - my_shard.begin, part.size());
    }
    send_offsets.push_back(send_.size() * sizeof(float));
  }

  receive_offsets_ = {0};
  for (int rank = 0; rank < ranks; ++rank) {
    const ElementRange shard = snapshot_.layout->shard(rank, ranks);
    std::int64_t count = 0;
    for (const Segment& segment : mine) {
      if (segment.source != Source::kWeights) count += intersect(segment.range, shard).size();
    }
    receive_offsets_.push_back(receive_offsets_.back() +
                               static_cast<std::size_t>(count) * sizeof(float));
  }
  received_.resize(receive_offsets_.back() / sizeof(float));
  communicator_
      .all_to_all(std::as_bytes(std::span(send_)), send_offsets,
                  std::as_writable_bytes(std::span(received_)), receive_offsets_)
      ->wait();
}

std::span<const float> WindowGatherer::gather(std::span<const PlannedFile* const> files,
                                              std::int64_t window) {
  const int ranks = communicator_.world_size();
  const std::vector<Segment> mine =
      window_segments(files[static_cast<std::size_t>(communicator_.rank())], window);
  exchange(files, mine, window);

  // Shards follow one another in the flat buffer, so a segment's parts come by rising rank.
  data_.clear();
  std::vector<std::int64_t> cursors;
  for (const std::size_t offset : receive_offsets_) {
    cursors.push_back(static_cast<std::int64_t>(offset / sizeof(float)));
  }
  for (const Segment& segment : mine) {
    if (segment.source == Source::kWeights) {
      append(data_, snapshot_.weights, segment.range.begin, segment.range.size());
      continue;
    }
    for (int rank = 0; rank < ranks; ++rank) {
      const std::int64_t count =
          intersect(segment.range, snapshot_.layout->shard(rank, ranks)).size();
      auto& cursor = cursors[static_cast<std::size_t>(rank)];
      append(data_, received_, cursor, count);
      cursor += count;
    }
  }
  return data_;
}

}  // namespace sbm::distributed::checkpoint
