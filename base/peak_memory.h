#pragma once

#include <cstdint>
#include <fstream>
#include <optional>
#include <string>

namespace sbm {

/// Bytes of one line of /proc/self/status, "VmRSS" (resident now) or "VmHWM" (the peak of it);
/// nothing where the kernel does not tell.
inline std::optional<std::int64_t> status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoll(line.substr(field.size() + 1)) * 1024;
  }
  return std::nullopt;
}

/// Makes the peak start again from what is resident now. False where the kernel refuses.
inline bool reset_peak() {
  std::ofstream clear("/proc/self/clear_refs");
  clear << "5" << std::flush;
  return clear.good();
}

}  // namespace sbm
