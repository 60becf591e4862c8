#include "cuda_host/runtime/shared_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "cuda_host/runtime/block.h"
#include "cuda_host/runtime/poison.h"
#include "cuda_host/runtime/race.h"

namespace sbm::cuda_host {
namespace {

constexpr std::size_t kArrayAlignment = 128;
constexpr std::size_t kLeastZone = 256;
// Arrays, and for each a zone as long as itself; what is over serves many small ones.
constexpr std::size_t kArenaBytes = 2 * kSharedLimit + (std::size_t{256} << 10);

std::size_t round_up(std::size_t bytes) {
  return (bytes + kArrayAlignment - 1) / kArrayAlignment * kArrayAlignment;
}

}  // namespace

SharedMemory& SharedMemory::current() {
  static thread_local SharedMemory memory;
  return memory;
}

SharedMemory::SharedMemory() {
  void* arena = mmap(nullptr, kArenaBytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (arena == MAP_FAILED) throw std::bad_alloc();
  arena_ = static_cast<char*>(arena);
  std::memset(arena_, kPoisonByte, kArenaBytes);
}

SharedMemory::~SharedMemory() {
  allow(arena_, kArenaBytes);
  munmap(arena_, kArenaBytes);
}

void SharedMemory::begin_block(std::size_t dynamic_bytes) {
  arrays_.clear();
  allow(arena_, used_);
  std::memset(arena_, kPoisonByte, used_);
  forbid(arena_, kArenaBytes);
  used_ = kLeastZone;
  array_bytes_ = 0;
  dynamic_bytes_ = dynamic_bytes;
  if (dynamic_bytes > 0) add(nullptr, "dynamic shared memory", dynamic_bytes);
}

char* SharedMemory::add(const void* key, const std::string& name, std::size_t bytes) {
  char* begin = arena_ + round_up(used_);
  used_ = round_up(used_) + bytes + std::max(kLeastZone, bytes);
  array_bytes_ += round_up(bytes);
  allow(begin, bytes);
  auto array = std::make_unique<Array>();
  array->key = key;
  array->region.begin = begin;
  array->region.end = begin + bytes;
  array->region.name = name;
  array->region.shared = true;
  race::mark(array->region, begin, bytes, Content::kUnwritten);
  arrays_.push_back(std::move(array));
  return begin;
}

void* SharedMemory::array(const void* key, const char* name, std::size_t bytes) {
  for (const auto& array : arrays_) {
    if (array->key == key) return const_cast<char*>(array->region.begin);
  }
  if (array_bytes_ + round_up(bytes) > kSharedLimit) {
    Block::current().fail("shared array '" + std::string(name) + "' of " + std::to_string(bytes) +
                          " bytes beside " + std::to_string(array_bytes_) +
                          " others: " + std::to_string(kSharedLimit) + " are the limit");
  }
  return add(key, name, bytes);
}

void* SharedMemory::dynamic() {
  if (dynamic_bytes_ == 0) {
    Block::current().fail("the kernel has dynamic shared memory, the launch gives it none");
  }
  return const_cast<char*>(arrays_.front()->region.begin);
}

// The zones are read on purpose; this file is compiled without the sanitizers.
std::string SharedMemory::damage() const {
  const char* clean = arena_;
  for (std::size_t i = 0; i <= arrays_.size(); ++i) {
    const char* end = i < arrays_.size() ? arrays_[i]->region.begin : arena_ + used_;
    const auto* found = std::find_if(
        clean, end, [](char byte) { return static_cast<unsigned char>(byte) != kPoisonByte; });
    if (found != end) {
      return "write outside every shared array, " + describe_address(found);
    }
    if (i < arrays_.size()) clean = arrays_[i]->region.end;
  }
  return "";
}

bool SharedMemory::holds(const void* address) const {
  const auto* byte = static_cast<const char*>(address);
  return byte >= arena_ && byte < arena_ + kArenaBytes;
}

Region* SharedMemory::nearest(const void* address) {
  Region* last = nullptr;
  for (const auto& array : arrays_) {
    if (array->region.begin <= address) last = &array->region;
  }
  return last;
}

Region* SharedMemory::find(const void* address) {
  Region* array = nearest(address);
  return array != nullptr && address < array->end ? array : nullptr;
}

}  // namespace sbm::cuda_host
