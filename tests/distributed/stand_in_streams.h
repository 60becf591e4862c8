#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "distributed/device_stream.h"
#include "tests/distributed/test_memory.h"

namespace sbm::distributed {

/// The communicator under test used the stand-in in a way that a device or NCCL would punish.
class Misuse : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// Streams of a device that does not exist. Whatever is put into a stream runs later, after looks
/// whose number is drawn, in the order of the stream; of several streams the youngest work goes
/// first. Work that touches memory which earlier work of another stream is not done with is a
/// Misuse, and so is memory that is not the device's. Streams advance when they are asked.
class StandInStreams final : public DeviceStreams {
 public:
  struct Access {
    const std::byte* begin;
    std::size_t bytes;
    bool writes;
  };
  struct Step {
    std::string name;
    std::vector<Access> accesses;
    std::function<bool()> run;  ///< whether it is finished
    std::uint64_t number = 0;
    int delay = 0;
    bool begun = false;
  };

  StandInStreams(std::uint32_t seed, std::string device_name);

  StreamHandle current() override { return current_; }
  StreamHandle create_stream() override;
  void destroy_stream(StreamHandle stream) noexcept override;
  EventHandle create_event() override;
  void destroy_event(EventHandle event) noexcept override;
  void record(EventHandle event, StreamHandle stream) override;
  void wait(StreamHandle stream, EventHandle event) override;
  bool done(EventHandle event) override;
  std::byte* allocate(std::size_t bytes) override;
  void release(std::byte* memory) noexcept override;
  void copy(std::span<const std::byte> from, std::byte* to, StreamHandle stream) override;
  bool capturing() override { return false; }
  std::string device_name() override { return device_name_; }

  void enqueue(StreamHandle stream, Step step);
  /// Advances until the current stream is empty.
  void drain_current();
  /// One look at each stream.
  void advance();
  /// Of work enqueued from now on: at most so many looks before it begins.
  void set_longest_delay(int looks) { longest_delay_ = looks; }
  /// Called before an event is recorded: NCCL may not have taken over yet what must come before.
  void set_record_check(std::function<void(StreamHandle)> check) {
    record_check_ = std::move(check);
  }

 private:
  struct Stream {
    std::deque<Step> steps;
  };
  struct Event {
    std::uint64_t recorded = 0;
    std::uint64_t completed = 0;
  };

  struct Memory {
    std::size_t bytes;
    LastingVector<std::byte> own;
  };

  void check_memory(const Step& step) const;
  void check_races(const Stream* own, const Step& step) const;

  std::string device_name_;
  std::mt19937 random_;
  int longest_delay_ = 3;
  std::uint64_t next_number_ = 1;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::unique_ptr<Event>> events_;
  std::map<const std::byte*, Memory> memory_;
  StreamHandle current_;
  std::function<void(StreamHandle)> record_check_;
};

/// Memory of a StandInStreams, written and read by work of its current stream.
class StandInTestMemory final : public TestMemory {
 public:
  explicit StandInTestMemory(StandInStreams& streams) : streams_(streams) {}
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override;
  void write(std::byte* to, std::span<const std::byte> from) override;
  void read(std::span<std::byte> to, const std::byte* from) override;

 private:
  StandInStreams& streams_;
};

}  // namespace sbm::distributed
