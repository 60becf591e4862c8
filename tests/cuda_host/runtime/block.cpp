#include "cuda_host/runtime/block.h"

#include <exception>
#include <map>

#include "cuda_host/defect.h"
#include "cuda_host/runtime/program.h"
#include "cuda_host/runtime/race.h"
#include "cuda_host/runtime/shared_memory.h"

namespace sbm::cuda_host {
namespace {

// Constant initialisation: no guard, which instrumented code would trip over.
constinit thread_local Thread* running_thread = nullptr;
constinit thread_local bool in_kernel = false;

std::string file_name(const char* path) {
  const std::string text = path;
  return text.substr(text.find_last_of('/') + 1);
}

std::string text(const char* name, const uint3& index) {
  return std::string(name) + " (" + std::to_string(index.x) + ", " + std::to_string(index.y) +
         ", " + std::to_string(index.z) + ")";
}

std::string hexadecimal(unsigned value) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string result = "0x";
  for (int shift = 28; shift >= 0; shift -= 4) result += kDigits[(value >> shift) % 16];
  return result;
}

bool same(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         std::string_view(a.file_name()) == b.file_name();
}

}  // namespace

std::string text(const std::source_location& where) {
  return file_name(where.file_name()) + ":" + std::to_string(where.line());
}

Outside::Outside() : before_(in_kernel) { in_kernel = false; }
Outside::~Outside() { in_kernel = before_; }

Block& Block::current() {
  static thread_local Block block;
  return block;
}

Thread* Block::running() { return running_thread; }
Thread* Block::checked() { return in_kernel ? running_thread : nullptr; }

void Block::prepare(const GridRun& grid, uint3 index) {
  grid_ = &grid;
  index_ = index;
  defect_.reset();
  count_ = std::size_t{grid.block.x} * grid.block.y * grid.block.z;
  while (threads_.size() < count_) threads_.push_back(std::make_unique<Thread>());
  meetings_.assign((count_ + kWarpThreads - 1) / kWarpThreads, {});
  for (std::size_t i = 0; i < count_; ++i) {
    Thread& thread = *threads_[i];
    const auto number = static_cast<unsigned>(i);
    thread.number = number;
    thread.index = {number % grid.block.x, number / grid.block.x % grid.block.y,
                    number / grid.block.x / grid.block.y};
    thread.state = State::kReady;
    thread.copies.clear();
    thread.open_group = 0;
    thread.fiber.start(&Block::run_thread);
  }
}

void Block::run(const GridRun& grid, uint3 index, std::uint64_t seed) {
  prepare(grid, index);
  SharedMemory::current().begin_block(grid.dynamic_shared_bytes);
  race::begin_block();
  schedule_.begin(current_order(), seed, count_);
  std::size_t ended = 0;
  while (ended < count_ && !defect_) {
    if (schedule_.empty()) {
      release_barrier();
      continue;
    }
    Thread& thread = *threads_[schedule_.take()];
    resume(thread);
    if (thread.state == State::kDone) ++ended;
  }
  if (!defect_) {
    const std::string damage = SharedMemory::current().damage();
    if (!damage.empty()) fail_later(damage);
  }
  if (defect_) throw KernelDefect(*defect_);
}

void Block::resume(Thread& thread) {
  running_thread = &thread;
  thread.fiber.resume();
  running_thread = nullptr;
}

void Block::run_thread() {
  Block& block = Block::current();
  try {
    const KernelCall& call = block.grid_->call;
    in_kernel = true;
    call.invoke(call.object);
    in_kernel = false;
  } catch (const std::exception& error) {
    in_kernel = false;
    block.fail_later(std::string("the kernel threw an exception: ") + error.what());
  } catch (...) {
    in_kernel = false;
    block.fail_later("the kernel threw an exception");
  }
  block.end_thread();
}

void Block::end_thread() {
  Thread& thread = *running_thread;
  thread.state = State::kDone;
  if (!thread.copies.empty()) {
    fail_later("thread ended with " + std::to_string(thread.copies.size()) +
               " cp.async copies under way");
  }
  lane_ended(thread);
  thread.fiber.leave();
}

void Block::wait(State state) {
  running_thread->state = state;
  running_thread->fiber.suspend();
}

void Block::maybe_yield() {
  Thread& thread = *running_thread;
  if (defect_ || !schedule_.chance(4)) return;
  schedule_.add(thread.number);
  thread.fiber.suspend();
}

std::string Block::place() const {
  std::string result = "kernel " + function_name(grid_->kernel) + ", " + text("block", index_);
  if (running_thread != nullptr) result += ", " + text("thread", running_thread->index);
  return result + ", " + current_order().name();
}

void Block::fail_later(const std::string& message) {
  if (!defect_) defect_ = message + "\n  in " + place();
}

void Block::fail(const std::string& message) {
  in_kernel = false;
  fail_later(message);
  running_thread->state = State::kDone;
  running_thread->fiber.leave();
}

void Block::check_mask(const char* operation, unsigned mask, const std::source_location& where) {
  const Thread& thread = *running_thread;
  const std::string call =
      std::string(operation) + " at " + text(where) + " with mask " + hexadecimal(mask) + " ";
  if ((mask >> thread.lane() & 1) == 0) {
    fail(call + "is called by lane " + std::to_string(thread.lane()) +
         ", which the mask does not name");
  }
  for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    const std::size_t number = std::size_t{thread.warp()} * kWarpThreads + lane;
    if (number >= count_) {
      fail(call + "names lane " + std::to_string(lane) + ", which the block does not have");
    }
    if (threads_[number]->state == State::kDone) {
      fail(call + "names lane " + std::to_string(lane) + ", which has ended");
    }
  }
}

void Block::meet_warp(const char* operation, unsigned mask, const std::source_location& where,
                      void* argument, Combine combine) {
  const Outside outside;
  Thread& thread = *running_thread;
  if (defect_) fail(*defect_);
  check_mask(operation, mask, where);
  thread.operation = operation;
  thread.where = where;
  thread.mask = mask;
  thread.argument = argument;
  auto& meetings = meetings_[thread.warp()];
  std::size_t at = 0;
  while (at < meetings.size() && (meetings[at].mask & mask) == 0) ++at;
  if (at == meetings.size()) {
    meetings.push_back({mask, 0, operation, where});
  } else {
    const Meeting& other = meetings[at];
    if (other.mask != mask || std::string_view(other.operation) != operation ||
        !same(other.where, where)) {
      fail(std::string("lanes of a warp meet at different calls: ") + operation + " at " +
           text(where) + " with mask " + hexadecimal(mask) + " meets " + other.operation + " at " +
           text(other.where) + " with mask " + hexadecimal(other.mask));
    }
  }
  meetings[at].arrived |= 1U << thread.lane();
  if (meetings[at].arrived != mask) {
    wait(State::kAtCollective);
    return;
  }
  meetings.erase(meetings.begin() + static_cast<std::ptrdiff_t>(at));
  void* arguments[kWarpThreads] = {};
  const std::size_t first = std::size_t{thread.warp()} * kWarpThreads;
  for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
    if ((mask >> lane & 1) != 0) arguments[lane] = threads_[first + lane]->argument;
  }
  combine(arguments, mask);
  for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
    if ((mask >> lane & 1) == 0 || lane == thread.lane()) continue;
    Thread& other = *threads_[first + lane];
    other.state = State::kReady;
    schedule_.add(other.number);
  }
  if (defect_) fail(*defect_);
}

void Block::meet_block(const char* operation, const std::source_location& where, void* argument,
                       CombineBlock combine) {
  const Outside outside;
  Thread& thread = *running_thread;
  if (defect_) fail(*defect_);
  thread.operation = operation;
  thread.where = where;
  thread.argument = argument;
  combine_block_ = combine;
  wait(State::kAtBarrier);
}

void Block::release_barrier() {
  const Thread& first = *threads_[0];
  std::size_t at_barrier = 0;
  std::size_t done = 0;
  bool one_call = true;
  for (std::size_t i = 0; i < count_; ++i) {
    const Thread& thread = *threads_[i];
    if (thread.state == State::kAtBarrier) {
      ++at_barrier;
      one_call = one_call && std::string_view(first.operation) == thread.operation &&
                 same(first.where, thread.where);
    } else if (thread.state == State::kDone) {
      ++done;
    }
  }
  if (at_barrier + done < count_) {
    return fail_later("deadlock: no thread can go on. " + waiting_places());
  }
  if (done > 0) {
    return fail_later("a block barrier waits for threads that have ended. " + waiting_places());
  }
  if (!one_call) {
    return fail_later("threads of a block meet at different barriers. " + waiting_places());
  }
  std::vector<void*> arguments(count_);
  for (std::size_t i = 0; i < count_; ++i) arguments[i] = threads_[i]->argument;
  if (combine_block_ != nullptr) combine_block_(arguments.data(), count_);
  race::order_block();
  for (std::size_t i = 0; i < count_; ++i) {
    threads_[i]->state = State::kReady;
    schedule_.add(threads_[i]->number);
  }
}

void Block::lane_ended(const Thread& thread) {
  if (defect_) return;
  for (const Meeting& meeting : meetings_[thread.warp()]) {
    if ((meeting.mask >> thread.lane() & 1) == 0) continue;
    defect_ = std::string(meeting.operation) + " at " + text(meeting.where) + " with mask " +
              hexadecimal(meeting.mask) + " names lane " + std::to_string(thread.lane()) +
              ", which has ended\n  in " + place() + ", warp " + std::to_string(thread.warp());
    return;
  }
}

// "Waiting: 31 threads (0...) at __syncthreads (kernel.cuh:12); ended: 1 thread (5...)."
std::string Block::waiting_places() const {
  std::map<std::string, std::vector<unsigned>> places;
  for (std::size_t i = 0; i < count_; ++i) {
    const Thread& thread = *threads_[i];
    std::string where = "ended";
    if (thread.state != State::kDone) {
      where = std::string("at ") + thread.operation + " (" + text(thread.where) + ")";
      if (thread.state == State::kAtCollective) where += " with mask " + hexadecimal(thread.mask);
    }
    places[where].push_back(thread.number);
  }
  std::string result = "Threads";
  const char* separator = ": ";
  for (const auto& [where, numbers] : places) {
    result += separator + std::to_string(numbers.size()) + " " + where + " (the first: thread " +
              std::to_string(numbers.front()) + ")";
    separator = "; ";
  }
  return result;
}

}  // namespace sbm::cuda_host
