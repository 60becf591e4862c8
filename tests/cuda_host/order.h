#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sbm::cuda_host {

/// The order in which the CPU runs the threads of a block and the blocks of a grid. Kernels must
/// give the same bits in all of them: forward hides a write that follows a read too early, reverse
/// hides a missing barrier, random orders hide less.
struct Order {
  enum class Kind { kForward, kReverse, kRandom };
  Kind kind = Kind::kForward;
  std::uint64_t seed = 0;

  [[nodiscard]] std::string name() const;
};

/// The orders of this build: forward, reverse and eight random ones; two random ones where every
/// access is checked, which is slow.
const std::vector<Order>& orders();

/// The order of this CPU thread's launches from now on.
void set_order(const Order& order);
const Order& current_order();

/// Calls `body` once in every order of this build. Which one is going on stands in the message of
/// whatever the kernel is accused of.
template <class Body>
void for_each_order(Body body) {
  const Order before = current_order();
  for (const Order& order : orders()) {
    set_order(order);
    body();
  }
  set_order(before);
}

}  // namespace sbm::cuda_host
