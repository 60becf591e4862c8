#include "launch/signal_cleanup.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace sbm::launch {
namespace {

constexpr std::array<int, 3> kHandled = {SIGINT, SIGTERM, SIGHUP};
constexpr unsigned char kNoSignal = 0;

std::atomic<int> pipe_end{-1};
// Handlers that run, on whatever thread: the pipe stays open for them.
std::atomic<int> running{0};

extern "C" void sbm_pass_signal_on(int number) {
  ++running;
  const int before = errno;
  const auto byte = static_cast<unsigned char>(number);
  if (const int end = pipe_end.load(); end >= 0) {
    // A full pipe has enough signals in it already; waiting for room here could last for ever.
    [[maybe_unused]] const ssize_t written = ::write(end, &byte, 1);
  } else {
    ::raise(number);  // the old handlers are back, and it is theirs
  }
  errno = before;
  --running;
}

}  // namespace

SignalCleanup::SignalCleanup(std::function<void()> cleanup) : cleanup_(std::move(cleanup)) {
  if (pipe_end.load() >= 0) throw InternalError("two SignalCleanups at the same time");
  if (::pipe2(pipe_.data(), O_CLOEXEC) != 0) {
    throw InternalError("no pipe for signals: " + std::generic_category().message(errno));
  }
  ::fcntl(pipe_[1], F_SETFL, O_NONBLOCK);
  pipe_end.store(pipe_[1]);
  thread_ = std::thread([this] { wait(); });
  for (std::size_t i = 0; i < kHandled.size(); ++i) {
    struct sigaction action {};
    sigemptyset(&action.sa_mask);
    action.sa_handler = sbm_pass_signal_on;
    action.sa_flags = SA_RESTART;
    ::sigaction(kHandled[i], &action, &old_[i]);
    // Whoever started this (nohup, a shell's background job) wants the signal to do nothing.
    if (old_[i].sa_handler == SIG_IGN) ::sigaction(kHandled[i], &old_[i], nullptr);
  }
}

SignalCleanup::~SignalCleanup() {
  for (std::size_t i = 0; i < kHandled.size(); ++i) ::sigaction(kHandled[i], &old_[i], nullptr);
  pipe_end.store(-1);
  while (running.load() > 0) std::this_thread::yield();
  [[maybe_unused]] const ssize_t written = ::write(pipe_[1], &kNoSignal, 1);
  thread_.join();
  for (const int end : pipe_) ::close(end);
}

void SignalCleanup::wait() const {
  unsigned char number = kNoSignal;
  while (::read(pipe_[0], &number, 1) < 0 && errno == EINTR) {
  }
  if (number == kNoSignal) return;
  cleanup_();
  // The default action tells the parent which signal it was; an exit code could not.
  ::signal(number, SIG_DFL);
  ::kill(::getpid(), number);
  for (;;) ::pause();
}

}  // namespace sbm::launch
