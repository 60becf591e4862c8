#include "trainer/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <system_error>

#include "trainer/event.pb.h"

namespace sbm::trainer {
namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  constexpr std::uint32_t kReflectedCastagnoli = 0x82F63B78;
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1U) != 0 ? kReflectedCastagnoli : 0U);
    }
    table[byte] = crc;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

template <typename T>
std::string little_endian(T value) {
  std::string bytes(sizeof(T), '\0');
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  return bytes;
}

// TFRecord stores checksums masked, because a checksum of data that holds checksums is weak.
std::string masked_checksum(const std::string& bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return little_endian<std::uint32_t>(((crc >> 15) | (crc << 17)) + 0xa282ead8U);
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

bool has_event_files(const std::filesystem::path& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().filename().string().starts_with("events.out.tfevents.")) return true;
  }
  return false;
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown-host";
}

}  // namespace

std::uint32_t crc32c(const std::string& bytes) {
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc = kCrcTable[(crc ^ static_cast<unsigned char>(byte)) & 0xFFU] ^ (crc >> 8);
  }
  return ~crc;
}

EventFile::EventFile(const std::filesystem::path& folder, std::int64_t resume_step)
    : EventFile(folder, resume_step, has_event_files(folder)) {}

EventFile::EventFile(const std::filesystem::path& folder, std::int64_t resume_step,
                     bool has_earlier_files)
    : file_(folder / fmt::format("events.out.tfevents.{}.{}.{}",
                                 static_cast<std::int64_t>(wall_time()), host_name(), ::getpid())) {
  tensorboard::Event version;
  version.set_wall_time(wall_time());
  version.set_file_version("brain.Event:2");
  write(version.SerializeAsString());
  if (has_earlier_files) {
    tensorboard::Event start;
    start.set_wall_time(wall_time());
    start.set_step(resume_step + 1);
    start.mutable_session_log()->set_status(tensorboard::SessionLog::START);
    write(start.SerializeAsString());
  }
}

void EventFile::scalars(std::int64_t step,
                        const std::vector<std::pair<std::string, double>>& values) {
  tensorboard::Event event;
  event.set_wall_time(wall_time());
  event.set_step(step);
  for (const auto& [tag, number] : values) {
    tensorboard::Summary::Value* value = event.mutable_summary()->add_value();
    value->set_tag(tag);
    value->set_simple_value(static_cast<float>(number));
  }
  write(event.SerializeAsString());
}

void EventFile::write(const std::string& data) {
  const std::string length = little_endian<std::uint64_t>(data.size());
  file_.append(length + masked_checksum(length) + data + masked_checksum(data));
}

}  // namespace sbm::trainer
