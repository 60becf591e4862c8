#pragma once

#include <string>

namespace sbm::launch {

/// One thing that `sbm doctor` looked at.
struct Finding {
  std::string subject;
  bool good = true;
  std::string text;
};

}  // namespace sbm::launch
