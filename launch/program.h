#pragma once

namespace sbm::launch {

/// Parses the command line, runs the command and turns every error into one message on stderr and
/// an exit code: the only catch of the program (design, section 3.6).
int run_program(int argc, char** argv);

}  // namespace sbm::launch
