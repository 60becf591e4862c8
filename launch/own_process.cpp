#include "launch/own_process.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/error.h"

namespace sbm::launch {
namespace {

constexpr std::string_view kTargetVariable = "SBM_CPU_TARGET=";

/// A pipe whose ends close themselves.
struct Pipe {
  Pipe() {
    if (::pipe(ends) != 0) throw InternalError(fmt::format("pipe: {}", std::strerror(errno)));
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_end(int end) {
    if (ends[end] >= 0) ::close(ends[end]);
    ends[end] = -1;
  }
  int ends[2] = {-1, -1};
};

std::string read_all(int descriptor) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t count = ::read(descriptor, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
  }
}

}  // namespace

std::string run_this_program(const std::vector<std::string>& arguments, const std::string& target) {
  std::vector<std::string> words = {"sbm"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string chosen = std::string(kTargetVariable) + target;
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (target.empty() || !std::string_view(*entry).starts_with(kTargetVariable)) {
      environment.push_back(*entry);
    }
  }
  if (!target.empty()) environment.push_back(chosen.data());
  environment.push_back(nullptr);

  Pipe output;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output.ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, output.ends[0]);
  pid_t child = 0;
  const int error =
      ::posix_spawn(&child, "/proc/self/exe", &actions, nullptr, argv.data(), environment.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw InternalError(fmt::format("starting this program again: {}", std::strerror(error)));
  }
  output.close_end(1);
  std::string text = read_all(output.ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw InternalError(fmt::format("sbm {}: expected exit code 0, found {}",
                                    fmt::join(arguments, " "),
                                    WIFEXITED(status) ? WEXITSTATUS(status) : -1));
  }
  return text;
}

}  // namespace sbm::launch
