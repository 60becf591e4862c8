#include "trainer/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "trainer/task_metrics.h"

namespace sbm::trainer {
namespace {

constexpr std::chrono::milliseconds kRedrawEvery{100};
constexpr double kAverageWeight = 0.05;  // of a new step in the average: about 20 steps back

bool colour_wanted() {
  const char* no_color = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): as above
  return is_terminal() && (no_color == nullptr || *no_color == '\0');
}

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string short_count(double value) {
  if (value >= 1e6) return fmt::format("{:.2f}M", value / 1e6);
  if (value >= 1e3) return fmt::format("{:.1f}k", value / 1e3);
  return fmt::format("{:.0f}", value);
}

}  // namespace

bool is_terminal() {
  const char* term = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe): read once at the start
  return ::isatty(STDERR_FILENO) != 0 && term != nullptr && std::string_view(term) != "dumb";
}

std::string format_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
  if (whole >= 60) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  return fmt::format("{}s", whole);
}

Progress::Progress(ProgressMode mode, std::int64_t total_steps)
    : mode_(mode), colour_(colour_wanted()), total_steps_(total_steps) {
  if (mode_ == ProgressMode::kAuto) {
    mode_ = is_terminal() ? ProgressMode::kLive : ProgressMode::kPlain;
  }
}

std::string Progress::coloured(const char* code, const std::string& text) const {
  return colour_ ? fmt::format("\x1b[{}m{}\x1b[0m", code, text) : text;
}

std::string Progress::describe(const StepRecord& record) const {
  const double left = static_cast<double>(total_steps_ - step_) * seconds_a_step_;
  return fmt::format("step {}/{} | loss {:.4f}{} | density {:.2f}% | {} tok/s | eta {}", step_,
                     total_steps_, record.loss, metric_, 100.0 * record.density,
                     short_count(record.tokens_per_second), format_duration(left));
}

void Progress::tick(std::int64_t step, double step_seconds) {
  step_ = step;
  seconds_a_step_ = seconds_a_step_ == 0.0
                        ? step_seconds
                        : seconds_a_step_ + kAverageWeight * (step_seconds - seconds_a_step_);
  if (mode_ == ProgressMode::kLive && std::chrono::steady_clock::now() - drawn_ >= kRedrawEvery) {
    redraw();
  }
}

void Progress::step(const StepRecord& record) {
  last_ = record;
  if (mode_ == ProgressMode::kLive) redraw();
  if (mode_ == ProgressMode::kPlain) {
    fmt::print(stderr, "{} | gnorm {:.3g} | lr {:.3g} | {:.0f} ms\n", describe(record),
               record.gradient_norm, record.learning_rate, 1000.0 * record.step_seconds);
  }
}

void Progress::evaluation(const EvaluationRecord& record) {
  std::string metrics;
  metric_.clear();
  for (const auto& [name, value] : record.metrics) {
    metrics += fmt::format(" | {} {}", name, metric_text(name, value));
  }
  metric_ = metrics;
  above(
      coloured(record.best ? "32" : "0",
               fmt::format("{} at step {}: loss {:.4f}{} | density {:.2f}% | {} samples{}",
                           record.split, record.step, record.loss, metrics, 100.0 * record.density,
                           record.samples, record.best ? " | best so far" : "")));
}

void Progress::message(const std::string& text) { above(coloured("2", text)); }

void Progress::above(const std::string& text) {
  if (mode_ == ProgressMode::kNone) return;
  if (line_shown_) fmt::print(stderr, "\r\x1b[K");
  fmt::print(stderr, "{}\n", text);
  if (line_shown_) redraw();
}

void Progress::redraw() {
  std::string line = describe(last_);
  if (const std::size_t width = terminal_width(); line.size() >= width) line.resize(width - 1);
  fmt::print(stderr, "\r\x1b[K{}", line);
  std::fflush(stderr);
  line_shown_ = true;
  drawn_ = std::chrono::steady_clock::now();
}

void Progress::close() {
  if (line_shown_) fmt::print(stderr, "\n");
  line_shown_ = false;
}

}  // namespace sbm::trainer
