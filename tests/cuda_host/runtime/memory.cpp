#include "cuda_host/runtime/memory.h"

#include <map>
#include <memory>

#include "cuda_host/runtime/race.h"
#include "cuda_host/runtime/shared_memory.h"

namespace sbm::cuda_host {
namespace {

// By the address behind the last byte, of an empty region behind its place.
using Regions = std::map<const char*, std::unique_ptr<Region>>;

Regions& regions() {
  static thread_local Regions all;
  return all;
}

std::string describe_within(const Region& region, const void* address) {
  const auto offset = static_cast<const char*>(address) - region.begin;
  const auto bytes = region.end - region.begin;
  const std::string name = (region.shared ? "shared array '" : "buffer '") + region.name + "' (" +
                           std::to_string(bytes) + " bytes)";
  if (offset < 0) return std::to_string(-offset) + " bytes before " + name;
  if (offset >= bytes) return std::to_string(offset - bytes) + " bytes behind " + name;
  return "byte " + std::to_string(offset) + " of " + name;
}

}  // namespace

void register_global(const void* begin, std::size_t bytes, const std::string& name) {
  if (bytes == 0) return;  // it would have no address of its own, nor be found again
  auto region = std::make_unique<Region>();
  region->begin = static_cast<const char*>(begin);
  region->end = region->begin + bytes;
  region->name = name;
  race::mark(*region, begin, bytes, Content::kUnwritten);
  // An empty buffer is a region too, which must be found again to be forgotten.
  const char* key = bytes == 0 ? region->begin + 1 : region->end;
  regions()[key] = std::move(region);
}

void unregister_global(const void* begin) {
  const auto found = regions().upper_bound(static_cast<const char*>(begin));
  if (found != regions().end() && found->second->begin == begin) regions().erase(found);
}

Region* find_global(const void* address) {
  const auto found = regions().upper_bound(static_cast<const char*>(address));
  if (found == regions().end() || found->second->begin > address) return nullptr;
  return found->second.get();
}

std::string describe_address(const void* address) {
  SharedMemory& shared = SharedMemory::current();
  if (shared.holds(address)) {
    const Region* array = shared.nearest(address);
    return array == nullptr ? "before every shared array" : describe_within(*array, address);
  }
  const auto* byte = static_cast<const char*>(address);
  const auto above = regions().upper_bound(byte);
  const Region* nearest = nullptr;
  if (above != regions().end()) nearest = above->second.get();
  if (above != regions().begin()) {
    const Region* below = std::prev(above)->second.get();
    if (nearest == nullptr || byte - below->end < nearest->begin - byte) nearest = below;
  }
  constexpr std::ptrdiff_t kFar = std::ptrdiff_t{1} << 24;
  if (nearest == nullptr || byte - nearest->end > kFar || nearest->begin - byte > kFar) {
    return "far from every device buffer and shared array";
  }
  return describe_within(*nearest, address);
}

}  // namespace sbm::cuda_host
