#include "cuda_host/runtime/faults.h"

#include <signal.h>
#include <ucontext.h>

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "cuda_host/runtime/block.h"
#include "cuda_host/runtime/memory.h"

namespace sbm::cuda_host {
namespace {

#ifdef __x86_64__
constexpr std::size_t kSignalStackBytes = std::size_t{64} << 10;
thread_local const void* fault_address = nullptr;

// Where the handler sends the thread: on the fiber's own stack again, from its top, because nothing
// of the kernel's frames is needed and there may be no room below them.
[[noreturn]] void report_fault() {
  const Outside outside;
  Block& block = Block::current();
  Thread& thread = *Block::running();
  thread.fiber.forget_frames();
  if (thread.fiber.holds(static_cast<const char*>(fault_address) + 8192)) {
    block.fail("the stack of a thread overflowed: local arrays are too large");
  }
  block.fail("access to unmapped memory, " + describe_address(fault_address));
}

void handle_fault(int signal_number, siginfo_t* info, void* context) {
  const Thread* thread = Block::running();
  if (thread == nullptr) {
    // Not a kernel's: dies of it as if there were no handler.
    signal(signal_number, SIG_DFL);
    return;
  }
  fault_address = info->si_addr;
  auto* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  registers[REG_RIP] = reinterpret_cast<greg_t>(&report_fault);
  registers[REG_RSP] = reinterpret_cast<greg_t>(thread->fiber.stack_top()) - 8;
}
#endif

}  // namespace

void catch_faults() {
#ifdef __x86_64__
  static thread_local const auto signal_stack = [] {
    auto memory = std::make_unique<char[]>(kSignalStackBytes);
    stack_t stack{};
    stack.ss_sp = memory.get();
    stack.ss_size = kSignalStackBytes;
    sigaltstack(&stack, nullptr);
    struct sigaction action {};
    action.sa_sigaction = &handle_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (const int number : {SIGSEGV, SIGBUS}) sigaction(number, &action, nullptr);
    return memory;
  }();
  static_cast<void>(signal_stack);
#endif
}

}  // namespace sbm::cuda_host
