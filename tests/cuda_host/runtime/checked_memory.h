#pragma once

// The first include of every instrumented file (-include): calls of these functions, the compiler's
// own too, go to the race detector.

extern "C" {
void* memcpy(void* to, const void* from, decltype(sizeof 0) bytes) noexcept
    __asm__("sbm_checked_memcpy");
void* memmove(void* to, const void* from, decltype(sizeof 0) bytes) noexcept
    __asm__("sbm_checked_memmove");
void* memset(void* to, int value, decltype(sizeof 0) bytes) noexcept __asm__("sbm_checked_memset");
}
