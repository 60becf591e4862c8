#include "distributed/checkpoint/printable.h"

#include <fmt/format.h>

#include <iterator>

namespace sbm::distributed::checkpoint {

std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 128;
  std::string out = "'";
  for (const char symbol : text.substr(0, kLongest)) {
    const auto code = static_cast<unsigned char>(symbol);
    if (code < 0x20 || code >= 0x7f || symbol == '\'' || symbol == '\\') {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", code);
    } else {
      out += symbol;
    }
  }
  out += "'";
  if (text.size() > kLongest) out += fmt::format(" (cut; {} bytes)", text.size());
  return out;
}

}  // namespace sbm::distributed::checkpoint
