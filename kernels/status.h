#pragma once

#include <string>
#include <utility>

namespace sbm::kernels {

/// What an entry point of this floor answers: fine, or what was wrong with its arguments. Kernels
/// do not throw on bad parameters, so that a caller in C, CUDA or another language can use them.
class [[nodiscard]] Status {
 public:
  Status() = default;
  static Status invalid(std::string message) { return Status(std::move(message)); }

  [[nodiscard]] bool ok() const { return message_.empty(); }
  /// Names the parameter, what was expected and what was found. Empty when ok.
  [[nodiscard]] const std::string& message() const { return message_; }

 private:
  explicit Status(std::string message) : message_(std::move(message)) {}
  std::string message_;
};

}  // namespace sbm::kernels
