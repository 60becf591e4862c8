#include "trainer/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace sbm::trainer {
namespace {

// The floor below speaks of data; here the file is what the user asked for.
template <typename Call>
auto as_output(const Call& call) {
  try {
    return call();
  } catch (const DataError& error) {
    throw ConfigError(error.what());
  }
}

[[noreturn]] void fail(const std::filesystem::path& path, const char* what, int error) {
  throw ConfigError(path.string() + ": cannot " + what + ": " +
                    std::generic_category().message(error));
}

}  // namespace

OutputFile::OutputFile(const std::filesystem::path& path)
    : file_(as_output([&] { return data::DurableFile(path); })) {}

void OutputFile::write(std::string_view text) {
  as_output([&] {
    file_.write({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  });
}

void OutputFile::commit() {
  as_output([&] { file_.commit(); });
}

void replace_file(const std::filesystem::path& path, std::string_view text) {
  OutputFile file(path);
  file.write(text);
  file.commit();
}

AppendedFile::AppendedFile(std::filesystem::path path)
    : path_(std::move(path)),
      descriptor_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail(path_, "open", errno);
}

AppendedFile::~AppendedFile() { ::close(descriptor_); }

void AppendedFile::append(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail(path_, "write", written < 0 ? errno : ENOSPC);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace sbm::trainer
