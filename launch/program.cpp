#include "launch/program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "kernels/cpu/target.h"
#include "launch/bus_error.h"
#include "launch/command.h"
#include "launch/freed_memory.h"
#include "launch/version.h"
#include "trainer/nearest_name.h"

namespace sbm::launch {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  sbm train --config configs/quickstart.textproto\n"
    "  mpirun -n 4 --bind-to none sbm train --config F      the same run on four ranks\n"
    "  sbm eval --checkpoint runs/quickstart --split test\n"
    "  sbm report runs/quickstart\n"
    "\n"
    "Exit codes: 0 done; 2 usage or configuration; 3 data; 4 checkpoint; 5 training diverged;\n"
    "6 a peer or a collective failed; 70 internal error; 75 stopped, run again\n"
    "to continue.";

// What may follow `command` on the command line.
std::vector<std::string> known_words(const CLI::App& command) {
  std::vector<std::string> known;
  for (const CLI::App* sub : command.get_subcommands({})) known.push_back(sub->get_name());
  for (const CLI::Option* option : command.get_options({})) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  return known;
}

// CLI11 reports what is missing before what is misspelt, although the second causes the first: so
// the words are looked at once more, for the message that helps.
std::string usage_message(const CLI::App& program, const CLI::ParseError& error, int argc,
                          char** argv) {
  const CLI::App* command = &program;
  std::string path = "sbm ";
  std::string message = error.what();
  for (int i = 1; i < argc; ++i) {
    const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
    const std::vector<std::string> known = known_words(*command);
    const bool is_known = std::find(known.begin(), known.end(), word) != known.end();
    const bool takes_commands = !command->get_subcommands({}).empty();
    if (!is_known && (word.starts_with("--") || takes_commands)) {
      message = (word.starts_with("--") ? "unknown option \"" : "unknown command \"") + word +
                "\"" + trainer::suggestion(word, known);
      break;
    }
    if (is_known && takes_commands && !word.starts_with("--")) {
      command = command->get_subcommand(word);
      path += word + " ";
    }
  }
  return message + "\nRun `" + path + "--help` for the options.";
}

// An answer that got lost on a full disk must not look like success.
void flush_answer() {
  errno = 0;
  std::cout << std::flush;
  if (std::cout) return;
  const std::string reason = errno == 0 ? "" : ": " + std::generic_category().message(errno);
  throw ConfigError("standard output: cannot write the answer" + reason);
}

// A misspelt name would quietly run, and time, another instruction set.
void require_known_cpu_target() {
  const char* found = std::getenv("SBM_CPU_TARGET");
  const std::vector<std::string> known = kernels::cpu::target_names();
  if (found == nullptr || known.empty() || std::ranges::find(known, found) != known.end()) return;
  throw ConfigError(fmt::format("SBM_CPU_TARGET: expected {}, found \"{}\"{}",
                                fmt::join(known, ", "), found, trainer::suggestion(found, known)));
}

}  // namespace

int run_program(int argc, char** argv) {
  explain_bus_errors();
  keep_freed_memory();
  CLI::App program(
      "Trains SBM-Transformers: sparse attention along sampled graphs, on one process or many.",
      "sbm");
  program.require_subcommand(1);
  program.footer(kFooter);
  program.set_version_flag("--version", version_text(), "Print versions and exit");
  Action action;
  add_train_command(program, action);
  add_eval_command(program, action);
  add_predict_command(program, action);
  add_data_command(program, action);
  add_checkpoint_command(program, action);
  add_report_command(program, action);
  add_glue_score_command(program, action);
  add_bench_command(program, action);
  add_doctor_command(program, action);

  Session session;
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    return program.exit(request);
  } catch (const CLI::ParseError& error) {
    return session.fail(kUsageError, usage_message(program, error, argc, argv));
  }
  try {
    require_known_cpu_target();
    const int code = action(session);
    flush_answer();
    return code;
  } catch (const std::exception& error) {
    const ExitCode code = exit_code_of(error);
    const std::string prefix = code == kInternalFailure ? "internal error: " : "";
    return session.fail(code, prefix + error.what());
  }
}

}  // namespace sbm::launch
