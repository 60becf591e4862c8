#include "launch/one_of.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "trainer/nearest_name.h"

namespace sbm::launch {

CLI::Validator one_of(std::vector<std::string> names) {
  const std::string shown = fmt::format("{{{}}}", fmt::join(names, ","));
  return {[names = std::move(names)](const std::string& word) {
            if (std::ranges::find(names, word) != names.end()) return std::string();
            return "expected " + trainer::list_names(names) + ", found \"" + word + "\"" +
                   trainer::suggestion(word, names);
          },
          shown};
}

}  // namespace sbm::launch
