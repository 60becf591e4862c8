#pragma once

#include <string>

namespace sbm::launch {

/// Program, commit, compiler and libraries, one a line.
std::string version_text();

/// Program, commit and LibTorch in one short line.
std::string short_version_text();

}  // namespace sbm::launch
