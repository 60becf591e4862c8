#pragma once

#include <string>
#include <vector>

namespace sbm::launch {

/// Runs this very program with `arguments` and, unless empty, SBM_CPU_TARGET = `target`; returns
/// its standard output. Its standard error is ours. Throws InternalError when it cannot be started
/// or ends with another code than 0.
std::string run_this_program(const std::vector<std::string>& arguments, const std::string& target);

}  // namespace sbm::launch
