#pragma once

#include <cstdint>
#include <string>

namespace sbm::cuda_host {

/// Whether the address lies in a loaded file (code, constants, variables) of this process.
bool in_program(const void* address);
/// A return address as an offset into the program, which is smaller; 0 when it lies elsewhere.
std::uint32_t code_offset(const void* code);
/// "kernel.cuh:31 (function)", through addr2line where it is installed, else the offset.
std::string code_place(std::uint32_t offset);

}  // namespace sbm::cuda_host
