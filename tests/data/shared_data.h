#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace sbm::data {

/// `../shared/data` beside the sources: real data that not every machine has.
inline std::filesystem::path shared_data() {
  return std::filesystem::path(SBM_SOURCE_DIR).parent_path() / "shared" / "data";
}

/// Unpacks shared_data()/<name>.xz to `to`. Returns why it cannot, or nothing.
inline std::string unpack_shared(const std::string& name, const std::filesystem::path& to) {
  const std::filesystem::path packed = shared_data() / (name + ".xz");
  if (!std::filesystem::exists(packed)) return "no file " + packed.string();
  const std::string command = "xz -dc '" + packed.string() + "' > '" + to.string() + "'";
  if (std::system(command.c_str()) != 0) return "the program xz is missing or failed";
  return {};
}

}  // namespace sbm::data
