#pragma once

#include <filesystem>

#include "launch/model_options.h"
#include "launch/session.h"

namespace sbm::launch {

/// `sbm predict --submission FILE.zip`: what the archive is made of.
struct GlueSubmission {
  ModelOptions model;
  bool split_given = false;  ///< --split was on the command line
  std::string diagnostic;    ///< data folder of AX; empty: none
  std::filesystem::path out;
  bool json = false;
};

/// Collective. Predicts the test splits of each run's task (both of MNLI; AX with the model of
/// MNLI) and writes their files into one archive, in the benchmark's order; tells what the server
/// will miss. Throws ConfigError, before it computes anything, when two runs are of one task, a
/// task is none of GLUE or an option does not fit; and as LoadedModel, predict() and
/// check_submission_rows(). Returns the exit code.
int write_glue_submission(Session& session, const GlueSubmission& request);

}  // namespace sbm::launch
