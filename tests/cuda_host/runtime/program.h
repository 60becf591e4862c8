#pragma once

#include <cstdint>
#include <string>

namespace sbm::cuda_host {

/// Whether the address lies in a loaded file (code, constants, variables) of this process.
bool in_program(const void* address);
/// A return address as an offset into the program, which is smaller; 0 when it lies elsewhere.
std::uint32_t code_offset(const void* code);
/// "kernel.cuh:31", through addr2line where it is installed, else the offset.
std::string code_place(std::uint32_t offset);
/// The name of the function at `address`, without its parameters; its line where it has no name for
/// other files.
std::string function_name(const void* address);

}  // namespace sbm::cuda_host
