#include "distributed/nccl_group.h"

#include <fmt/format.h>

#include <exception>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "distributed/lasting_memory.h"
#include "distributed/poll_pause.h"
#include "distributed/rank_place.h"

namespace sbm::distributed {

using Clock = std::chrono::steady_clock;

NcclGroup::NcclGroup(NcclParts parts, const Communicator& control,
                     std::chrono::milliseconds timeout)
    : parts_(std::move(parts)),
      rank_(control.rank()),
      world_size_(control.world_size()),
      local_rank_(control.local_rank()),
      host_(control.host()),
      timeout_(timeout),
      side_(parts_.streams->create_stream()),
      token_(parts_.streams->allocate(sizeof(std::int64_t))),
      exceptions_at_start_(std::uncaught_exceptions()) {}

NcclGroup::~NcclGroup() {
  const std::string end = "the end of the group";
  bool in_peace = failure_.empty() && std::uncaught_exceptions() == exceptions_at_start_;
  if (in_peace) {
    try {
      wait_until(end, [this] {
        check_pending();
        return pending_.empty();
      });
      if (handle_ != nullptr) {
        check(library().finalize(handle_), "ncclCommFinalize", end);
        settle(end);
        library().destroy(std::exchange(handle_, nullptr));
      }
    } catch (const Error&) {
      // Whoever failed says so; here all work was done.
      in_peace = false;
    }
  }
  if (!in_peace) {
    // While an error unwinds, the peers learn of it from whoever catches it.
    if (handle_ != nullptr) library().abort(std::exchange(handle_, nullptr));
    keep_lasting_memory();
    return;  // the device may still hold the stream and the events
  }
  for (const EventHandle event : all_events_) streams().destroy_event(event);
  streams().release(token_);
  streams().destroy_stream(side_);
}

void NcclGroup::start(const NcclId& id) {
  const std::string operation = "the start of NCCL";
  check(library().start(handle_, world_size_, id, rank_), "ncclCommInitRankConfig", operation);
  settle(operation);
}

std::string NcclGroup::who() const { return place_text(rank_, world_size_, host_, step_); }

void NcclGroup::check_usable(const std::string& operation) const {
  if (std::this_thread::get_id() != thread_) {
    throw InternalError(operation + " on " + who() +
                        ": called from a thread that may not call NCCL");
  }
  if (!failure_.empty()) {
    throw CommunicationError(operation + " on " + who() +
                             ": refused, because the group has failed before: " + failure_);
  }
}

void NcclGroup::check_notices() {
  if (const auto notice = parts_.notices->poll()) {
    // The peer's own words: all ranks end with one message.
    failure_ = *notice;
    if (handle_ != nullptr) library().abort(std::exchange(handle_, nullptr));
    keep_lasting_memory();
    throw CommunicationError(failure_);
  }
}

void NcclGroup::check_async_error(const std::string& operation) {
  if (handle_ == nullptr) return;
  NcclResult state = NcclResult::kSuccess;
  check(library().async_error(handle_, state), "ncclCommGetAsyncError", operation);
  check(state, "an operation of NCCL under way", operation);
}

void NcclGroup::check_pending() {
  while (!pending_.empty() && streams().done(pending_.front().done)) {
    return_event(pending_.front().done);
    pending_.pop_front();
  }
  if (pending_.empty()) return;
  const auto waited = Clock::now() - pending_.front().since;
  if (waited > timeout_) fail(late_text(pending_.front().operation, waited));
}

void NcclGroup::watch(const std::string& operation) {
  check_usable(operation);
  check_notices();
  check_async_error(operation);
  if (!streams().capturing()) check_pending();
}

void NcclGroup::wait_until(const std::string& operation, const std::function<bool()>& done) {
  check_usable(operation);
  const auto start = Clock::now();
  while (!done()) {
    watch(operation);
    const auto waited = Clock::now() - start;
    if (waited > timeout_) fail(late_text(operation, waited));
    pause_between_polls(waited);
  }
}

void NcclGroup::check(NcclResult result, std::string_view call, const std::string& operation,
                      std::source_location where) {
  if (result == NcclResult::kSuccess || result == NcclResult::kInProgress) return;
  const std::string words = library().last_error(handle_);
  fail(fmt::format("{} on {}: {} failed: {}{} ({}:{})", operation, who(), call, to_text(result),
                   words.empty() ? "" : ", " + words,
                   std::filesystem::path(where.file_name()).filename().string(), where.line()));
}

void NcclGroup::settle(const std::string& operation) {
  wait_until(operation, [&] {
    NcclResult state = NcclResult::kSuccess;
    check(library().async_error(handle_, state), "ncclCommGetAsyncError", operation);
    check(state, "an operation of NCCL under way", operation);
    return state == NcclResult::kSuccess;
  });
}

void NcclGroup::give_up(const std::string& message) noexcept {
  if (!failure_.empty()) return;
  failure_ = message;
  parts_.notices->tell(message);
  if (handle_ != nullptr) library().abort(std::exchange(handle_, nullptr));
  keep_lasting_memory();
}

void NcclGroup::fail(const std::string& message) {
  give_up(message);
  throw CommunicationError(message);
}

EventHandle NcclGroup::take_event() {
  if (free_events_.empty()) {
    all_events_.push_back(streams().create_event());
    return all_events_.back();
  }
  const EventHandle event = free_events_.back();
  free_events_.pop_back();
  return event;
}

void NcclGroup::watch_over(std::string operation, EventHandle done) {
  // What is captured runs when the graph does; then synchronize() has the deadline.
  if (streams().capturing()) return return_event(done);
  pending_.push_back({std::move(operation), done, Clock::now()});
}

std::string NcclGroup::late_text(const std::string& operation, Clock::duration waited) const {
  return fmt::format(
      "{} on {} waited {:.1f} s without an answer: a peer has died, hangs or is too slow",
      operation, who(), std::chrono::duration<double>(waited).count());
}

}  // namespace sbm::distributed
