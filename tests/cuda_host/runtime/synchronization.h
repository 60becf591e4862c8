#pragma once

#include <source_location>

// Barriers of blocks and warps, and fences. Each remembers the line that called it.

void __syncthreads(const std::source_location& where = std::source_location::current());
/// The number of threads whose predicate is not 0; whether all, any is.
int __syncthreads_count(int predicate,
                        const std::source_location& where = std::source_location::current());
int __syncthreads_and(int predicate,
                      const std::source_location& where = std::source_location::current());
int __syncthreads_or(int predicate,
                     const std::source_location& where = std::source_location::current());
void __syncwarp(unsigned mask = 0xffffffffU,
                const std::source_location& where = std::source_location::current());
