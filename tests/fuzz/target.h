#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>

#include "tests/temporary_folder.h"

/// What a fuzzer calls, by libFuzzer's convention: one input, any bytes. A refusal is a DataError,
/// which the target catches; whatever else goes wrong ends the process.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace sbm::fuzz {

/// Ends the process, so that the fuzzer keeps the input, unless `holds`.
inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz target: broken promise: %s\n", what);
  std::abort();
}

/// The bytes of one input, eaten from the front; behind the end they are 0.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const std::uint8_t value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }
  /// Little-endian, of `bytes` bytes.
  std::uint64_t number(int bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= std::uint64_t{byte()} << (8 * i);
    return value;
  }
  [[nodiscard]] std::span<const std::uint8_t> rest() const { return rest_; }

 private:
  std::span<const std::uint8_t> rest_;
};

/// A file in memory, for readers that want a path: inputs by the million leave the disk alone.
class InputFile {
 public:
  InputFile() : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "memfd_create");
  }
  ~InputFile() { ::close(descriptor_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  [[nodiscard]] std::filesystem::path path() const {
    return "/proc/self/fd/" + std::to_string(descriptor_);
  }
  /// Replaces the contents. Nobody may have the old ones mapped.
  void set(std::span<const std::uint8_t> bytes) {
    if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, bytes.data(), bytes.size(), 0) !=
                                                static_cast<::ssize_t>(bytes.size())) {
      throw std::system_error(errno, std::generic_category(), "input file");
    }
  }
  /// Makes `name` another name of this file. Parent folders are made.
  void link(const std::filesystem::path& name) const {
    std::filesystem::create_directories(name.parent_path());
    std::filesystem::create_symlink(path(), name);
  }

 private:
  int descriptor_;
};

}  // namespace sbm::fuzz
