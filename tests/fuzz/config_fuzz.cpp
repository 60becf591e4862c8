#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tests/fuzz/target.h"
#include "trainer/config.h"

// The text of a configuration; behind its first zero byte, overrides, one a line.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sbm::fuzz;
  using namespace sbm::trainer;
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(all.find('\0'), all.size());
  try {
    Config config = parse_config(std::string(all.substr(0, end)), "input");
    std::vector<std::string> overrides;
    for (std::size_t begin = end + 1; begin < all.size();) {
      const std::size_t line = std::min(all.find('\n', begin), all.size());
      overrides.emplace_back(all.substr(begin, line - begin));
      begin = line + 1;
    }
    for (const std::string& problem : apply_overrides(config, overrides)) {
      require(problem.starts_with("--set "), "a problem names its override");
    }
    for (const std::string& problem : config_problems(config)) {
      require(problem.find(": expected ") != std::string::npos, "a problem says what was expected");
    }
    const std::string text = resolved_text(config);
    require(resolved_text(parse_config(text, "resolved")) == text, "resolved text reads back");
    require(compare_for_resume(lasting_text(config), "saved", config).empty(),
            "a run goes on with its own configuration");
  } catch (const sbm::ConfigError&) {
  }
  return 0;
}
