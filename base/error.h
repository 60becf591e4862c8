#pragma once

#include <stdexcept>
#include <string>

// The exceptions of every floor. Each message says what was expected, what was found, and where;
// `launch/` catches them once and turns each kind into its exit code (design, sections 3.5
// and 3.6).
namespace sbm {

/// Base of every error that this program throws on purpose. Anything else is an internal error.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The command line or the configuration asks for something that cannot be done. Exit code 2.
class ConfigError : public Error {
 public:
  using Error::Error;
};

/// A data set, shard, index or source file is missing, damaged or contradicts itself. Exit code 3.
class DataError : public Error {
 public:
  using Error::Error;
};

/// A checkpoint is missing, damaged, or belongs to another run. Exit code 4.
class CheckpointError : public Error {
 public:
  using Error::Error;
};

/// The loss or the gradient of some rank is not finite. Exit code 5.
class DivergenceError : public Error {
 public:
  using Error::Error;
};

/// A peer died, a collective missed its deadline, or MPI or NCCL reported a failure. Exit code 6.
class CommunicationError : public Error {
 public:
  using Error::Error;
};

/// A promise between two parts of this program was broken: a defect of ours. Exit code 70.
class InternalError : public Error {
 public:
  using Error::Error;
};

}  // namespace sbm
