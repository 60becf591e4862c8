#include "tests/launch/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace sbm::launch {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPoll{5};

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void redirect(const std::filesystem::path& file, int descriptor) {
  const int opened = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (opened < 0 || ::dup2(opened, descriptor) < 0) ::_exit(126);
}

}  // namespace

Process::Process(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    ::setpgid(0, 0);
    // A test that a shell runs in the background would pass its ignored SIGINT on.
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_DFL);
    redirect(outputs_.path() / "out", STDOUT_FILENO);
    redirect(outputs_.path() / "err", STDERR_FILENO);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
}

Process::~Process() {
  if (running()) {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

bool Process::running() {
  if (code_ >= 0) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

int Process::wait(std::chrono::seconds limit) {
  const auto deadline = Clock::now() + limit;
  while (running()) {
    if (Clock::now() > deadline) {
      ADD_FAILURE() << "still running after " << limit.count() << " s\n" << err();
      ::kill(-pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      code_ = 128 + SIGKILL;
      break;
    }
    std::this_thread::sleep_for(kPoll);
  }
  return code_;
}

void Process::signal(int number) const { ::kill(pid_, number); }

bool Process::wait_for(const std::filesystem::path& path, std::chrono::seconds limit) {
  const auto deadline = Clock::now() + limit;
  while (!std::filesystem::exists(path)) {
    if (!running() || Clock::now() > deadline) return std::filesystem::exists(path);
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

std::vector<pid_t> Process::ranks() const {
  std::vector<pid_t> found;
  const std::string task = "/proc/" + std::to_string(pid_) + "/task";
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(task, error)) {
    std::istringstream children(read_file(entry.path() / "children"));
    for (pid_t child = 0; children >> child;) found.push_back(child);
  }
  return found;
}

std::string Process::out() const { return read_file(outputs_.path() / "out"); }
std::string Process::err() const { return read_file(outputs_.path() / "err"); }

Outcome run(const std::vector<std::string>& command) {
  Process process(command);
  const int code = process.wait();
  return {code, process.out(), process.err()};
}

}  // namespace sbm::launch
