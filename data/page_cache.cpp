#include "data/page_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "data/mapped_file.h"

namespace sbm::data {
namespace {

void forget(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    throw DataError(file.string() + ": cannot open: " + std::generic_category().message(errno));
  }
  // Pages that are not yet on the disk cannot be forgotten.
  ::fdatasync(descriptor);
  ::posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
  ::close(descriptor);
}

struct Pages {
  std::uint64_t all = 0;
  std::uint64_t cached = 0;
};

void count_pages(const std::filesystem::path& file, Pages& pages) {
  const MappedFile mapped(file);
  const std::span<const std::uint8_t> bytes = mapped.bytes();
  if (bytes.empty()) return;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> states((bytes.size() + page - 1) / page);
  // mincore() only looks, but its pointer is not const.
  auto* address = const_cast<std::uint8_t*>(bytes.data());
  pages.all += states.size();
  if (::mincore(address, bytes.size(), states.data()) != 0) {
    pages.cached += states.size();  // unknown is as good as cached
    return;
  }
  pages.cached += static_cast<std::uint64_t>(
      std::ranges::count_if(states, [](unsigned char state) { return (state & 1U) != 0; }));
}

}  // namespace

double forget_cached_pages(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  try {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
  } catch (const std::filesystem::filesystem_error& error) {
    throw DataError(folder.string() + ": cannot list: " + error.code().message());
  }
  Pages pages;
  for (const std::filesystem::path& file : files) forget(file);
  for (const std::filesystem::path& file : files) count_pages(file, pages);
  return pages.all == 0 ? 0.0 : static_cast<double>(pages.cached) / static_cast<double>(pages.all);
}

}  // namespace sbm::data
