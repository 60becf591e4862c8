#include "trainer/zip_archive.h"

#include <fmt/format.h>
#include <zip.h>

#include <memory>
#include <set>

#include "base/error.h"

namespace sbm::trainer {
namespace {

constexpr zip_uint16_t kFirstDay = (1 << 5) | 1;     // 1 January 1980, where DOS time begins
constexpr zip_uint32_t kReadable = 0100644U << 16U;  // a file that its owner may write

[[noreturn]] void fail(const char* what, const char* reason) {
  throw InternalError(fmt::format("ZIP archive: {}: {}", what, reason));
}

struct SourceFree {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Source = std::unique_ptr<zip_source_t, SourceFree>;

struct ArchiveDiscard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using Archive = std::unique_ptr<zip_t, ArchiveDiscard>;

Source memory() {
  zip_error_t error;
  zip_error_init(&error);
  Source source(zip_source_buffer_create(nullptr, 0, 0, &error));
  if (!source) fail("no buffer", zip_error_strerror(&error));
  return source;
}

Archive open(zip_source_t* memory) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_keep(memory);  // the archive takes one reference when it is opened
  Archive archive(zip_open_from_source(memory, ZIP_CREATE | ZIP_TRUNCATE, &error));
  if (!archive) {
    zip_source_free(memory);
    fail("not opened", zip_error_strerror(&error));
  }
  return archive;
}

void add(zip_t* archive, const ZipEntry& entry) {
  zip_source_t* text = zip_source_buffer(archive, entry.text.data(), entry.text.size(), 0);
  if (text == nullptr) fail(entry.name.c_str(), zip_strerror(archive));
  const zip_int64_t added = zip_file_add(archive, entry.name.c_str(), text, ZIP_FL_ENC_UTF_8);
  if (added < 0) {
    zip_source_free(text);
    fail(entry.name.c_str(), zip_strerror(archive));
  }
  const auto index = static_cast<zip_uint64_t>(added);
  if (zip_file_set_dostime(archive, index, 0, kFirstDay, 0) != 0 ||
      zip_set_file_compression(archive, index, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_external_attributes(archive, index, 0, ZIP_OPSYS_UNIX, kReadable) != 0) {
    fail(entry.name.c_str(), zip_strerror(archive));
  }
}

std::string contents(zip_source_t* memory) {
  zip_stat_t size;
  zip_stat_init(&size);
  if (zip_source_stat(memory, &size) != 0 || (size.valid & ZIP_STAT_SIZE) == 0 ||
      zip_source_open(memory) != 0) {
    fail("not read back", zip_error_strerror(zip_source_error(memory)));
  }
  std::string bytes(size.size, '\0');
  const zip_int64_t read = zip_source_read(memory, bytes.data(), bytes.size());
  zip_source_close(memory);
  if (read < 0 || static_cast<zip_uint64_t>(read) != size.size) fail("not read back", "too short");
  return bytes;
}

}  // namespace

std::string zip_archive(const std::vector<ZipEntry>& entries) {
  std::set<std::string> names;
  for (const ZipEntry& entry : entries) {
    if (!names.insert(entry.name).second) {
      throw ConfigError(fmt::format("ZIP archive: expected one {}, found two", entry.name));
    }
  }
  const Source bytes = memory();
  Archive archive = open(bytes.get());
  for (const ZipEntry& entry : entries) add(archive.get(), entry);
  if (zip_close(archive.get()) != 0) fail("not written", zip_strerror(archive.get()));
  static_cast<void>(archive.release());  // zip_close freed it
  return contents(bytes.get());
}

}  // namespace sbm::trainer
