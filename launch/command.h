#pragma once

#include <CLI/App.hpp>
#include <functional>

#include "launch/session.h"

// Every command is one file: it declares its options and says what to do once they are parsed.
namespace sbm::launch {

/// What the parsed command line asks for; returns the exit code.
using Action = std::function<int(Session&)>;

void add_train_command(CLI::App& program, Action& action);
void add_eval_command(CLI::App& program, Action& action);
void add_predict_command(CLI::App& program, Action& action);
void add_data_command(CLI::App& program, Action& action);
/// `sbm data download`, below `sbm data`.
void add_download_command(CLI::App& data_command, Action& action);
/// `sbm data tokenize`, below `sbm data`.
void add_tokenize_command(CLI::App& data_command, Action& action);
void add_checkpoint_command(CLI::App& program, Action& action);
void add_report_command(CLI::App& program, Action& action);
void add_glue_score_command(CLI::App& program, Action& action);
void add_bench_command(CLI::App& program, Action& action);
/// `sbm bench loader`, below `sbm bench`.
void add_bench_loader_command(CLI::App& bench_command, Action& action);
void add_doctor_command(CLI::App& program, Action& action);

}  // namespace sbm::launch
