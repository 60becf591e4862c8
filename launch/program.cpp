#include "launch/program.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <vector>

#include "launch/command.h"
#include "launch/version.h"
#include "trainer/nearest_name.h"

namespace sbm::launch {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  sbm train --config configs/quickstart/listops-short.textproto\n"
    "  mpirun -n 4 --bind-to none sbm train --config F      the same run on four ranks\n"
    "  sbm eval --checkpoint runs/listops-short --split test\n"
    "  sbm report runs/listops-short\n"
    "\n"
    "Exit codes: 0 done; 2 usage or configuration; 3 data; 4 checkpoint; 5 training diverged;\n"
    "6 a peer or a collective failed; 70 internal error; 75 stopped after a checkpoint, run again\n"
    "to continue.";

// CLI11 names the word it did not expect; a person also wants the word they meant.
std::string with_suggestion(const CLI::App& program, const CLI::ParseError& error, int argc,
                            char** argv) {
  std::string message = error.what();
  const CLI::App* command = &program;
  std::vector<std::string> known;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    for (const CLI::App* candidate : command->get_subcommands({})) {
      if (candidate->get_name() == word) {
        command = candidate;
        break;
      }
    }
  }
  for (const CLI::App* candidate : command->get_subcommands({}))
    known.push_back(candidate->get_name());
  for (const CLI::Option* option : command->get_options({})) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (int i = 1; i < argc; ++i) {
    const std::string word = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
    if (message.find(word) == std::string::npos) continue;
    message += trainer::suggestion(word, known);
  }
  return message + "\nRun `sbm " +
         (command == &program ? std::string() : command->get_name() + " ") +
         "--help` for the options.";
}

}  // namespace

int run_program(int argc, char** argv) {
  CLI::App program(
      "Trains SBM-Transformers: sparse attention along sampled graphs, on one process or many.",
      "sbm");
  program.require_subcommand(1);
  program.footer(kFooter);
  program.set_version_flag("--version", version_text(), "Print versions and exit");
  Action action;
  add_train_command(program, action);
  add_eval_command(program, action);
  add_data_command(program, action);
  add_checkpoint_command(program, action);
  add_report_command(program, action);

  Session session;
  try {
    program.parse(argc, argv);
  } catch (const CLI::Success& request) {  // --help, --version
    return program.exit(request);
  } catch (const CLI::ParseError& error) {
    return session.fail(kUsageError, with_suggestion(program, error, argc, argv));
  }
  try {
    return action(session);
  } catch (const std::exception& error) {
    const ExitCode code = exit_code_of(error);
    const std::string prefix = code == kInternalFailure ? "internal error: " : "";
    return session.fail(code, prefix + error.what());
  }
}

}  // namespace sbm::launch
