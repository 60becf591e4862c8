#include "tests/distributed/stand_in_streams.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "distributed/poll_pause.h"

namespace sbm::distributed {
namespace {

bool overlap(const StandInStreams::Access& a, const StandInStreams::Access& b) {
  return (a.writes || b.writes) && a.begin < b.begin + b.bytes && b.begin < a.begin + a.bytes;
}

}  // namespace

StandInStreams::StandInStreams(std::uint32_t seed, std::string device_name)
    : device_name_(std::move(device_name)), random_(seed), current_(create_stream()) {}

StreamHandle StandInStreams::create_stream() {
  streams_.push_back(std::make_unique<Stream>());
  return streams_.back().get();
}

void StandInStreams::destroy_stream(StreamHandle stream) noexcept {
  std::erase_if(streams_, [&](const auto& own) { return own.get() == stream; });
}

EventHandle StandInStreams::create_event() {
  events_.push_back(std::make_unique<Event>());
  return events_.back().get();
}

void StandInStreams::destroy_event(EventHandle event) noexcept {
  std::erase_if(events_, [&](const auto& own) { return own.get() == event; });
}

void StandInStreams::record(EventHandle event, StreamHandle stream) {
  if (record_check_) record_check_(stream);
  auto* const own = static_cast<Event*>(event);
  const std::uint64_t number = next_number_;
  own->recorded = number;
  enqueue(stream, {.name = "event", .accesses = {}, .run = [own, number] {
                     own->completed = std::max(own->completed, number);
                     return true;
                   }});
}

void StandInStreams::wait(StreamHandle stream, EventHandle event) {
  auto* const own = static_cast<Event*>(event);
  enqueue(stream, {.name = "wait for an event",
                   .accesses = {},
                   .run = [own, number = own->recorded] { return own->completed >= number; }});
}

bool StandInStreams::done(EventHandle event) {
  advance();
  const auto* const own = static_cast<Event*>(event);
  return own->completed >= own->recorded;
}

std::byte* StandInStreams::allocate(std::size_t bytes) {
  constexpr std::size_t kAlignment = 64;
  LastingVector<std::byte> memory(bytes + kAlignment);
  const std::size_t over = reinterpret_cast<std::uintptr_t>(memory.data()) % kAlignment;
  std::byte* const begin = memory.data() + (kAlignment - over) % kAlignment;
  memory_.emplace(begin, Memory{bytes, std::move(memory)});
  return begin;
}

void StandInStreams::release(std::byte* memory) noexcept { memory_.erase(memory); }

void StandInStreams::copy(std::span<const std::byte> from, std::byte* to, StreamHandle stream) {
  enqueue(stream, {.name = "copy",
                   .accesses = {{from.data(), from.size(), false}, {to, from.size(), true}},
                   .run = [from, to] {
                     std::memmove(to, from.data(), from.size());
                     return true;
                   }});
}

void StandInStreams::enqueue(StreamHandle stream, Step step) {
  check_memory(step);
  step.number = next_number_++;
  step.delay = std::uniform_int_distribution<int>(0, longest_delay_)(random_);
  static_cast<Stream*>(stream)->steps.push_back(std::move(step));
}

void StandInStreams::check_memory(const Step& step) const {
  for (const Access& access : step.accesses) {
    if (access.bytes == 0) continue;
    auto next = memory_.upper_bound(access.begin);
    const bool inside =
        next != memory_.begin() &&
        access.begin + access.bytes <= std::prev(next)->first + std::prev(next)->second.bytes;
    if (!inside) throw Misuse(step.name + ": a buffer that is not the device's memory");
  }
}

void StandInStreams::check_races(const Stream* own, const Step& step) const {
  for (const auto& stream : streams_) {
    if (stream.get() == own) continue;
    for (const Step& other : stream->steps) {
      if (other.number > step.number) continue;
      for (const Access& a : step.accesses) {
        for (const Access& b : other.accesses) {
          if (overlap(a, b)) {
            throw Misuse(step.name + " uses a buffer before " + other.name +
                         ", which another stream holds, is done with it");
          }
        }
      }
    }
  }
}

void StandInStreams::advance() {
  std::vector<Stream*> ready;
  for (const auto& stream : streams_) {
    if (!stream->steps.empty()) ready.push_back(stream.get());
  }
  std::sort(ready.begin(), ready.end(), [](const Stream* a, const Stream* b) {
    return a->steps.front().number > b->steps.front().number;
  });
  for (Stream* const stream : ready) {
    Step& step = stream->steps.front();
    if (step.delay > 0) {
      --step.delay;
      continue;
    }
    if (!step.begun) check_races(stream, step);
    step.begun = true;
    if (step.run()) stream->steps.pop_front();
  }
}

void StandInStreams::drain_current() {
  const auto start = std::chrono::steady_clock::now();
  while (!static_cast<Stream*>(current_)->steps.empty()) {
    advance();
    const auto waited = std::chrono::steady_clock::now() - start;
    if (waited > std::chrono::minutes(2)) {
      throw Misuse("the current stream never ends: it waits for something that nobody watches");
    }
    pause_between_polls(waited);
  }
}

std::shared_ptr<std::byte> StandInTestMemory::allocate(std::size_t bytes) {
  return {streams_.allocate(bytes), [this](std::byte* memory) { streams_.release(memory); }};
}

void StandInTestMemory::write(std::byte* to, std::span<const std::byte> from) {
  if (from.empty()) return;
  streams_.enqueue(streams_.current(),
                   {.name = "upload", .accesses = {{to, from.size(), true}}, .run = [to, from] {
                      std::memcpy(to, from.data(), from.size());
                      return true;
                    }});
  streams_.drain_current();
}

void StandInTestMemory::read(std::span<std::byte> to, const std::byte* from) {
  if (to.empty()) return;
  streams_.enqueue(streams_.current(),
                   {.name = "download", .accesses = {{from, to.size(), false}}, .run = [to, from] {
                      std::memcpy(to.data(), from, to.size());
                      return true;
                    }});
  streams_.drain_current();
}

}  // namespace sbm::distributed
