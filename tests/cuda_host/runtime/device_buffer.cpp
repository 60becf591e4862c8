#include "cuda_host/device_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <new>

#include "cuda_host/defect.h"
#include "cuda_host/runtime/memory.h"
#include "cuda_host/runtime/poison.h"
#include "cuda_host/runtime/race.h"

namespace sbm::cuda_host {
namespace {

constexpr std::size_t kAlignment = 16;

struct Mapping {
  char* begin = nullptr;
  std::size_t bytes = 0;
  char* data = nullptr;
  std::size_t data_bytes = 0;
};

std::map<void*, Mapping>& mappings() {
  static thread_local std::map<void*, Mapping> all;
  return all;
}

std::size_t round_up(std::size_t value, std::size_t unit) {
  return (value + unit - 1) / unit * unit;
}

// The bytes around the data within the mapping's writable pages.
bool padding_is_clean(const Mapping& mapping, std::size_t page) {
  const auto clean = [](const char* begin, const char* end) {
    return std::all_of(begin, end,
                       [](char byte) { return static_cast<unsigned char>(byte) == kPoisonByte; });
  };
  return clean(mapping.begin + page, mapping.data) &&
         clean(mapping.data + mapping.data_bytes, mapping.begin + mapping.bytes - page);
}

}  // namespace

// A guard page at both ends; the data end at the last one but for less than 16 bytes.
void* allocate(std::size_t bytes, const std::string& name) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  Mapping mapping;
  const std::size_t inner = round_up(std::max<std::size_t>(bytes, 1), page);
  mapping.bytes = inner + 2 * page;
  void* memory = mmap(nullptr, mapping.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mapping.begin = static_cast<char*>(memory);
  if (mprotect(mapping.begin + page, inner, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  mapping.data = mapping.begin + page + inner - round_up(bytes, kAlignment);
  mapping.data_bytes = bytes;
  std::memset(mapping.begin + page, kPoisonByte, inner);
  forbid(mapping.begin + page, inner);
  allow(mapping.data, bytes);
  register_global(mapping.data, bytes, name);
  mappings()[mapping.data] = mapping;
  return mapping.data;
}

void release(void* memory) noexcept {
  const auto found = mappings().find(memory);
  if (found == mappings().end()) return;
  const Mapping& mapping = found->second;
  unregister_global(memory);
  allow(mapping.begin, mapping.bytes);
  munmap(mapping.begin, mapping.bytes);
  mappings().erase(found);
}

void check_buffers() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  for (const auto& [data, mapping] : mappings()) {
    if (padding_is_clean(mapping, page)) continue;
    const std::string where = describe_address(data);
    // Said once, not by every launch that follows.
    std::fill(mapping.begin + page, mapping.data, static_cast<char>(kPoisonByte));
    std::fill(mapping.data + mapping.data_bytes, mapping.begin + mapping.bytes - page,
              static_cast<char>(kPoisonByte));
    throw KernelDefect("write beside a device buffer; it starts at " + where);
  }
}

void copy_to_device(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  std::memcpy(to, from, bytes);
  race::mark(*find_global(to), to, bytes, Content::kWritten);
}

void copy_from_device(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

cudaStream_t test_stream() {
  static int stream = 0;
  return reinterpret_cast<cudaStream_t>(&stream);
}

}  // namespace sbm::cuda_host
