#include "cuda_host/runtime/race.h"

#ifdef SBM_HOST_RACE
#include <string>

#include "cuda_host/runtime/block.h"
#include "cuda_host/runtime/program.h"
#include "cuda_host/runtime/shared_memory.h"
#endif

namespace sbm::cuda_host::race {

#ifdef SBM_HOST_RACE
namespace {

// Phases of all launches in one sequence: what came before launch_begin precedes everything; what
// came between launch_begin and block_begin happened in other blocks.
std::uint32_t phase = 1;
std::uint32_t launch_begin = 1;
std::uint32_t block_begin = 1;

void reset_clocks() {
  Block& block = Block::current();
  for (std::size_t i = 0; i < block.thread_count(); ++i) {
    Thread& thread = block.thread(i);
    thread.clock.fill(0);
    thread.clock[thread.lane()] = 1;
  }
}

// Whether `earlier` happened before what `thread` does now, so that it sees its effect.
bool precedes(const Access& earlier, const Thread& thread) {
  if (earlier.phase < launch_begin) return true;
  if (earlier.phase < block_begin) return false;
  if (earlier.phase < phase || earlier.thread == thread.number) return true;
  if (earlier.thread / kWarpThreads != thread.warp()) return false;
  return earlier.epoch <= thread.clock[earlier.thread % kWarpThreads];
}

bool collides(const Access& earlier, const Thread& thread, bool atomic) {
  return earlier.phase != 0 && !(atomic && earlier.atomic) && !precedes(earlier, thread);
}

std::string who(const Access& access) {
  const bool other_block = access.phase < block_begin;
  return "thread number " + std::to_string(access.thread) +
         (other_block ? " of another block" : "") + " at " + code_place(access.code);
}

[[noreturn]] void fail(const char* what, const char* byte, std::uint32_t code,
                       const std::string& rest) {
  Block::current().fail(std::string(what) + " " + describe_address(byte) + " at " +
                        code_place(code) + rest);
}

void note_read(ShadowByte& byte, const Access& now, const Thread& thread) {
  for (Access& read : byte.reads) {
    if (read.phase == 0 || read.thread == now.thread || precedes(read, thread)) {
      read = now;
      return;
    }
  }
  // Both are unordered with this one: readers of two warps say more than two of one.
  const auto warp_of = [](const Access& access) { return access.thread / kWarpThreads; };
  if (warp_of(byte.reads[0]) == warp_of(byte.reads[1])) byte.reads[1] = now;
}

}  // namespace

void begin_launch() { launch_begin = block_begin = ++phase; }

void begin_block() {
  block_begin = ++phase;
  reset_clocks();
}

void order_block() {
  ++phase;
  reset_clocks();
}

void order_lanes(Thread* const* lanes, std::uint32_t mask) {
  std::array<std::uint32_t, kWarpThreads> joint{};
  const auto each_lane = [&](auto action) {
    for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
      if ((mask >> lane & 1) != 0) action(*lanes[lane]);
    }
  };
  each_lane([&](const Thread& thread) {
    for (unsigned i = 0; i < kWarpThreads; ++i) joint[i] = std::max(joint[i], thread.clock[i]);
  });
  each_lane([&](Thread& thread) {
    thread.clock = joint;
    ++thread.clock[thread.lane()];
  });
}

void access(Thread& thread, Region& region, const void* address, std::size_t bytes, Kind kind,
            const void* code) {
  const auto* first = static_cast<const char*>(address);
  ShadowByte* shadow = region.shadow.data() + (first - region.begin);
  const bool atomic = kind == Kind::kAtomic;
  const Access now{phase, thread.clock[thread.lane()], code_offset(code),
                   static_cast<std::uint16_t>(thread.number), atomic};
  for (std::size_t i = 0; i < bytes; ++i) {
    ShadowByte& byte = shadow[i];
    if (kind != Kind::kWrite && byte.content != Content::kWritten) {
      fail(byte.content == Content::kInFlight ? "read of a copy that is still under way,"
                                              : "read of what nobody has written,",
           first + i, now.code, "");
    }
    if (collides(byte.write, thread, atomic)) {
      fail(kind == Kind::kRead ? "race: read of" : "race: write to", first + i, now.code,
           " is unordered with the write by " + who(byte.write));
    }
    if (kind == Kind::kRead) {
      note_read(byte, now, thread);
      continue;
    }
    for (const Access& read : byte.reads) {
      if (collides(read, thread, atomic)) {
        fail("race: write to", first + i, now.code, " is unordered with the read by " + who(read));
      }
    }
    byte.write = now;
    byte.content = Content::kWritten;
  }
}

void access_anywhere(Thread& thread, const void* address, std::size_t bytes, Kind kind,
                     const void* code) {
  if (thread.fiber.holds(address)) return;
  SharedMemory& shared = SharedMemory::current();
  Region* region = shared.holds(address) ? shared.find(address) : find_global(address);
  if (region != nullptr && region->holds(address, bytes)) {
    access(thread, *region, address, bytes, kind, code);
    return;
  }
  const KernelCall& call = Block::current().grid().call;
  const auto* byte = static_cast<const char*>(address);
  const auto* object = static_cast<const char*>(call.object);
  const bool parameter = byte >= object && byte + bytes <= object + call.object_bytes;
  // Constants of the program, such as tables, may be read.
  if (kind == Kind::kRead && (parameter || in_program(address))) return;
  Block::current().fail(std::string(kind == Kind::kRead ? "read" : "write") +
                        " outside every array at " + code_place(code_offset(code)) + ": " +
                        describe_address(address));
}

void mark_in_flight(Region& region, const void* address, std::size_t bytes) {
  ShadowByte* shadow = region.shadow.data() + (static_cast<const char*>(address) - region.begin);
  for (std::size_t i = 0; i < bytes; ++i) shadow[i].content = Content::kInFlight;
}

void mark(Region& region, const void* address, std::size_t bytes, Content content) {
  region.shadow.resize(static_cast<std::size_t>(region.end - region.begin));
  ShadowByte* shadow = region.shadow.data() + (static_cast<const char*>(address) - region.begin);
  for (std::size_t i = 0; i < bytes; ++i) shadow[i] = ShadowByte{{}, {}, content};
}

#else

void begin_launch() {}
void begin_block() {}
void order_block() {}
void order_lanes(Thread* const* /*lanes*/, std::uint32_t /*mask*/) {}
void access(Thread& /*thread*/, Region& /*region*/, const void* /*address*/, std::size_t /*bytes*/,
            Kind /*kind*/, const void* /*code*/) {}
void mark_in_flight(Region& /*region*/, const void* /*address*/, std::size_t /*bytes*/) {}
void mark(Region& /*region*/, const void* /*address*/, std::size_t /*bytes*/, Content /*content*/) {
}

#endif

}  // namespace sbm::cuda_host::race
