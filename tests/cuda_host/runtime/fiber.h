#pragma once

#include <cstddef>

namespace sbm::cuda_host {

/// A stack of its own on which a function runs until it suspends: one CUDA thread. Guard pages lie
/// at both ends of the stack. A fiber may be abandoned while suspended and started anew.
class Fiber {
 public:
  /// Throws std::bad_alloc when the stack cannot be mapped.
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// The next resume() calls `entry` on the fiber's stack. `entry` must end with leave().
  void start(void (*entry)());
  /// Runs the fiber, called from outside, until it suspends or leaves.
  void resume();
  /// Called on the fiber: back to whoever resumed it.
  void suspend();
  /// As suspend(), for the last time: nothing on the stack is needed any more.
  [[noreturn]] void leave();

  /// Nothing on the stack is needed any more, whoever runs on it now.
  void forget_frames();

  [[nodiscard]] bool holds(const void* address) const;
  [[nodiscard]] char* stack_top() const { return stack_ + kStackBytes; }

 private:
  // AddressSanitizer's frames are several times as large as plain ones; pages cost when touched.
  static constexpr std::size_t kStackBytes = std::size_t{256} << 10;

  static void run_entered();
  void finish_switch_in();
  void switch_in();
  void switch_out();

  void (*entry_)() = nullptr;
  char* mapping_ = nullptr;
  char* stack_ = nullptr;
  void* context_ = nullptr;  // where the fiber stands; a ucontext_t where there is no own switch
  void* caller_ = nullptr;   // where its resumer stands
  // What AddressSanitizer wants to know of the two stacks.
  void* fake_stack_ = nullptr;
  void* caller_fake_stack_ = nullptr;
  const void* caller_stack_ = nullptr;
  std::size_t caller_stack_bytes_ = 0;
};

}  // namespace sbm::cuda_host
