#include "cuda_host/runtime/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#ifndef __x86_64__
#include <ucontext.h>
#endif
#ifdef SBM_HOST_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#include "cuda_host/runtime/poison.h"

namespace sbm::cuda_host {
namespace {

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// The fiber that is being entered.
thread_local Fiber* entering = nullptr;

}  // namespace

void Fiber::run_entered() {
  entering->finish_switch_in();
  entering->entry_();
  std::abort();  // `entry` must leave, not return: a defect of the bench itself
}

#ifdef __x86_64__
// Saves what a call must preserve, exchanges the stacks, restores: 20 times as fast as swapcontext,
// which asks the kernel for the signal mask.
extern "C" void sbm_fiber_switch(void** from, void* to);
asm(R"(
.text
.globl sbm_fiber_switch
.hidden sbm_fiber_switch
.type sbm_fiber_switch, @function
sbm_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size sbm_fiber_switch, . - sbm_fiber_switch
)");
#endif

Fiber::Fiber() {
  const std::size_t guard = page_bytes();
  void* mapping = mmap(nullptr, kStackBytes + 2 * guard, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<char*>(mapping);
  stack_ = mapping_ + guard;
  if (mprotect(stack_, kStackBytes, PROT_READ | PROT_WRITE) != 0) {
    munmap(mapping_, kStackBytes + 2 * guard);
    throw std::bad_alloc();
  }
#ifndef __x86_64__
  context_ = new ucontext_t;
  caller_ = new ucontext_t;
#endif
}

Fiber::~Fiber() {
#ifndef __x86_64__
  delete static_cast<ucontext_t*>(context_);
  delete static_cast<ucontext_t*>(caller_);
#endif
  forget_frames();
  munmap(mapping_, kStackBytes + 2 * page_bytes());
}

// Frames that were abandoned have left AddressSanitizer's red zones.
void Fiber::forget_frames() { allow(stack_, kStackBytes); }

void Fiber::start(void (*entry)()) {
  forget_frames();
  fake_stack_ = nullptr;
  entry_ = entry;
#ifdef __x86_64__
  // Six registers, the address to return to, and an empty slot: a function finds its stack 8 bytes
  // off a multiple of 16.
  auto** top = reinterpret_cast<void**>(stack_top());
  top[-1] = nullptr;
  top[-2] = reinterpret_cast<void*>(&Fiber::run_entered);
  for (int i = 3; i <= 8; ++i) top[-i] = nullptr;
  context_ = top - 8;
#else
  auto* context = static_cast<ucontext_t*>(context_);
  getcontext(context);
  context->uc_stack.ss_sp = stack_;
  context->uc_stack.ss_size = kStackBytes;
  context->uc_link = nullptr;
  makecontext(context, &Fiber::run_entered, 0);
#endif
}

void Fiber::switch_in() {
#ifdef __x86_64__
  sbm_fiber_switch(&caller_, context_);
#else
  swapcontext(static_cast<ucontext_t*>(caller_), static_cast<ucontext_t*>(context_));
#endif
}

void Fiber::switch_out() {
#ifdef __x86_64__
  sbm_fiber_switch(&context_, caller_);
#else
  swapcontext(static_cast<ucontext_t*>(context_), static_cast<ucontext_t*>(caller_));
#endif
}

// Tells AddressSanitizer that the stack has changed to the fiber's.
void Fiber::finish_switch_in() {
#ifdef SBM_HOST_ASAN
  __sanitizer_finish_switch_fiber(fake_stack_, &caller_stack_, &caller_stack_bytes_);
#endif
}

void Fiber::resume() {
  entering = this;
#ifdef SBM_HOST_ASAN
  __sanitizer_start_switch_fiber(&caller_fake_stack_, stack_, kStackBytes);
#endif
  switch_in();
#ifdef SBM_HOST_ASAN
  __sanitizer_finish_switch_fiber(caller_fake_stack_, nullptr, nullptr);
#endif
}

void Fiber::suspend() {
#ifdef SBM_HOST_ASAN
  __sanitizer_start_switch_fiber(&fake_stack_, caller_stack_, caller_stack_bytes_);
#endif
  switch_out();
  finish_switch_in();
}

void Fiber::leave() {
#ifdef SBM_HOST_ASAN
  __sanitizer_start_switch_fiber(nullptr, caller_stack_, caller_stack_bytes_);
#endif
  switch_out();
  std::abort();  // an ended fiber was resumed: a defect of the bench itself
}

bool Fiber::holds(const void* address) const {
  const auto* byte = static_cast<const char*>(address);
  return byte >= stack_ && byte < stack_ + kStackBytes;
}

}  // namespace sbm::cuda_host
