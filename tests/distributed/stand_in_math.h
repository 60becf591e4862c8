#pragma once

#include <memory>
#include <vector>

#include "distributed/flat_math.h"
#include "tests/distributed/stand_in_streams.h"

namespace sbm::distributed {

/// The processor's arithmetic as late work of a StandInStreams' current stream: so gradients and
/// weights are exchanged in the right order, or a Misuse tells.
class StandInMath final : public FlatMath {
 public:
  explicit StandInMath(StandInStreams& streams) : streams_(streams) {}

  [[nodiscard]] MemoryKind memory() const override { return MemoryKind::kDevice; }
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override {
    return {streams_.allocate(bytes), [this](std::byte* memory) { streams_.release(memory); }};
  }
  void clear(std::span<float> values) override {
    run("clear", {writes(values.data(), values.size())}, [=] { host_flat_math().clear(values); });
  }
  void copy(std::span<const std::byte> from, std::byte* to) override {
    streams_.copy(from, to, streams_.current());
  }
  void upload(std::span<const std::byte> from, std::byte* to) override {
    run("upload", {writes(to, from.size())},
        [to, kept = std::vector<std::byte>(from.begin(), from.end())] {
          host_flat_math().copy(kept, to);
        });
  }
  void add(std::span<const Addition> additions, std::size_t count) override {
    std::vector<StandInStreams::Access> accesses;
    for (const Addition& addition : additions) {
      accesses.push_back(writes(addition.to, count));
      accesses.push_back(reads(addition.from, count));
    }
    run("add", std::move(accesses),
        [kept = std::vector<Addition>(additions.begin(), additions.end()), count] {
          host_flat_math().add(kept, count);
        });
  }
  void sum_squares(std::span<const float> values, double* sums) override {
    run("sum_squares", {reads(values.data(), values.size()), writes(sums, values.size() / 4096)},
        [=] { host_flat_math().sum_squares(values, sums); });
  }
  void finish_norm(const double* sums, std::int64_t count, double clip_norm,
                   ClipState* state) override {
    run("finish_norm", {reads(sums, static_cast<std::size_t>(count)), writes(state, 1)},
        [=] { host_flat_math().finish_norm(sums, count, clip_norm, state); });
  }
  void adamw(const AdamWCoefficients* coefficients, std::span<const DecaySegment> segments,
             const AdamWBuffers& buffers, const ClipState* clip) override {
    std::vector<StandInStreams::Access> accesses = {reads(coefficients, 1)};
    if (clip != nullptr) accesses.push_back(reads(clip, 1));
    for (const DecaySegment& segment : segments) {
      const auto count = static_cast<std::size_t>(segment.end - segment.begin);
      accesses.push_back(reads(buffers.gradient + segment.begin, count));
      accesses.push_back(writes(buffers.first_moment + segment.begin, count));
      accesses.push_back(writes(buffers.second_moment + segment.begin, count));
      accesses.push_back(writes(buffers.weights + segment.begin, count));
    }
    run("adamw", std::move(accesses),
        [=, kept = std::vector<DecaySegment>(segments.begin(), segments.end())] {
          host_flat_math().adamw(coefficients, kept, buffers, clip);
        });
  }

 private:
  template <typename T>
  static StandInStreams::Access reads(const T* begin, std::size_t count) {
    return {reinterpret_cast<const std::byte*>(begin), count * sizeof(T), false};
  }
  template <typename T>
  static StandInStreams::Access writes(const T* begin, std::size_t count) {
    return {reinterpret_cast<const std::byte*>(begin), count * sizeof(T), true};
  }
  template <typename Action>
  void run(const char* name, std::vector<StandInStreams::Access> accesses, Action action) {
    streams_.enqueue(
        streams_.current(),
        {.name = name, .accesses = std::move(accesses), .run = [action = std::move(action)] {
           action();
           return true;
         }});
  }

  StandInStreams& streams_;
};

}  // namespace sbm::distributed
