// Turns what AddressSanitizer and UndefinedBehaviorSanitizer find in kernels into failures of the
// launch instead of the end of the process. Built into the sanitizers' build only.

#include <sanitizer/asan_interface.h>

#include <cstddef>
#include <cstdlib>
#include <string>

#include "cuda_host/runtime/block.h"
#include "cuda_host/runtime/memory.h"

using sbm::cuda_host::Block;

namespace {

void report(const void* address, std::size_t bytes, bool write, void* code, void* frame) {
  const auto* thread = Block::checked();
  if (thread == nullptr) {
    __asan_report_error(code, frame, frame, const_cast<void*>(address), write ? 1 : 0, bytes);
    return;
  }
  const sbm::cuda_host::Outside outside;
  const std::string where = thread->fiber.holds(address)
                                ? "beside a local array"
                                : sbm::cuda_host::describe_address(address);
  Block::current().fail(std::string("AddressSanitizer: ") + (write ? "write" : "read") + " of " +
                        std::to_string(bytes) + " bytes outside every array, " + where);
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the compiler's.
extern "C" {

// Abandoned fibers look like leaks; a fake stack for each fiber costs more than it finds.
const char* __asan_default_options() {
  return "halt_on_error=0:detect_leaks=0:detect_stack_use_after_return=0";
}

#define SBM_REPORTS(bytes)                                                                  \
  void __asan_report_load##bytes##_noabort(void* address) {                                 \
    report(address, bytes, false, __builtin_return_address(0), __builtin_frame_address(0)); \
  }                                                                                         \
  void __asan_report_store##bytes##_noabort(void* address) {                                \
    report(address, bytes, true, __builtin_return_address(0), __builtin_frame_address(0));  \
  }
SBM_REPORTS(1)
SBM_REPORTS(2)
SBM_REPORTS(4)
SBM_REPORTS(8)
SBM_REPORTS(16)
void __asan_report_load_n_noabort(void* address, std::size_t bytes) {
  report(address, bytes, false, __builtin_return_address(0), __builtin_frame_address(0));
}
void __asan_report_store_n_noabort(void* address, std::size_t bytes) {
  report(address, bytes, true, __builtin_return_address(0), __builtin_frame_address(0));
}

// What the sanitizer's own functions find, such as memcpy. It has printed its report already.
void __asan_on_error() {
  if (Block::checked() == nullptr) std::abort();
  const sbm::cuda_host::Outside outside;
  Block::current().fail_later(std::string("AddressSanitizer: ") + __asan_get_report_description() +
                              ", " + sbm::cuda_host::describe_address(__asan_get_report_address()));
}

void __ubsan_get_current_report_data(const char** kind, const char** message, const char** file,
                                     unsigned* line, unsigned* column, char** address);
void __ubsan_on_report() {
  if (Block::checked() == nullptr) std::abort();
  const sbm::cuda_host::Outside outside;
  const char* kind = "";
  const char* message = "";
  const char* file = "";
  unsigned line = 0;
  unsigned column = 0;
  char* address = nullptr;
  __ubsan_get_current_report_data(&kind, &message, &file, &line, &column, &address);
  Block::current().fail_later(std::string("UndefinedBehaviorSanitizer: ") + message + " at " +
                              file + ":" + std::to_string(line));
}
}
// NOLINTEND(bugprone-reserved-identifier)
