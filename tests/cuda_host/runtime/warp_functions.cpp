#include "cuda_host/runtime/warp_functions.h"

#include <algorithm>
#include <string>

#include "cuda_host/runtime/block.h"

namespace sbm::cuda_host {
namespace {

struct ShuffleArgument {
  ShuffleKind kind;
  std::uint64_t bits;
  int argument;
  int width;
  std::uint64_t result;
  int source;  // the lane read
};

// The PTX manual's shfl: lanes are numbered within segments of `width`; outside them a lane keeps
// its own.
int source_lane(const ShuffleArgument& call, int lane) {
  const int segment = lane & ~(call.width - 1);
  const int within = lane - segment;
  switch (call.kind) {
    case ShuffleKind::kIndex:
      return segment + (call.argument & (call.width - 1));
    case ShuffleKind::kUp:
      return within - call.argument < 0 ? lane : lane - call.argument;
    case ShuffleKind::kDown:
      return within + call.argument >= call.width ? lane : lane + call.argument;
    case ShuffleKind::kXor:
      break;
  }
  const int source = lane ^ call.argument;
  // Lanes of earlier segments may be read, later ones may not.
  return source >= segment + call.width ? lane : source;
}

void combine_shuffle(void* const* lanes, unsigned mask) {
  for (int lane = 0; lane < static_cast<int>(kWarpThreads); ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    auto& call = *static_cast<ShuffleArgument*>(lanes[lane]);
    call.source = source_lane(call, lane);
    if ((mask >> call.source & 1) != 0) {
      call.result = static_cast<ShuffleArgument*>(lanes[call.source])->bits;
    }
  }
}

const char* shuffle_name(ShuffleKind kind) {
  switch (kind) {
    case ShuffleKind::kIndex:
      return "__shfl_sync";
    case ShuffleKind::kUp:
      return "__shfl_up_sync";
    case ShuffleKind::kDown:
      return "__shfl_down_sync";
    case ShuffleKind::kXor:
      break;
  }
  return "__shfl_xor_sync";
}

const char* reduce_name(ReduceKind kind) {
  switch (kind) {
    case ReduceKind::kAdd:
      return "__reduce_add_sync";
    case ReduceKind::kMin:
      return "__reduce_min_sync";
    case ReduceKind::kMax:
      return "__reduce_max_sync";
    case ReduceKind::kAnd:
      return "__reduce_and_sync";
    case ReduceKind::kOr:
      return "__reduce_or_sync";
    case ReduceKind::kXor:
      break;
  }
  return "__reduce_xor_sync";
}

template <class Value>
struct ReduceArgument {
  ReduceKind kind;
  Value value;
};

template <class Value>
Value reduced(ReduceKind kind, Value a, Value b) {
  switch (kind) {
    case ReduceKind::kAdd:
      return static_cast<Value>(static_cast<unsigned>(a) + static_cast<unsigned>(b));
    case ReduceKind::kMin:
      return std::min(a, b);
    case ReduceKind::kMax:
      return std::max(a, b);
    case ReduceKind::kAnd:
      return a & b;
    case ReduceKind::kOr:
      return a | b;
    case ReduceKind::kXor:
      break;
  }
  return a ^ b;
}

template <class Value>
void combine_reduce(void* const* lanes, unsigned mask) {
  Value sum{};
  bool first = true;
  for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    const auto& call = *static_cast<ReduceArgument<Value>*>(lanes[lane]);
    sum = first ? call.value : reduced(call.kind, sum, call.value);
    first = false;
  }
  for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
    if ((mask >> lane & 1) != 0) static_cast<ReduceArgument<Value>*>(lanes[lane])->value = sum;
  }
}

template <class Value>
Value reduce(ReduceKind kind, unsigned mask, Value value, const std::source_location& where) {
  ReduceArgument<Value> argument{kind, value};
  Block::current().meet_warp(reduce_name(kind), mask, where, &argument, &combine_reduce<Value>);
  return argument.value;
}

struct MatchArgument {
  std::uint64_t bits;
  unsigned result;
};

}  // namespace

std::uint64_t shuffle(ShuffleKind kind, unsigned mask, std::uint64_t bits, int argument, int width,
                      const std::source_location& where) {
  const Outside outside;
  Block& block = Block::current();
  if (width < 1 || width > 32 || (width & (width - 1)) != 0) {
    block.fail(std::string(shuffle_name(kind)) + " at " + text(where) + ": width " +
               std::to_string(width) + ", a power of two up to 32 expected");
  }
  ShuffleArgument call{kind, bits, argument, width, 0, 0};
  block.meet_warp(shuffle_name(kind), mask, where, &call, &combine_shuffle);
  if ((mask >> call.source & 1) == 0) {
    block.fail(std::string(shuffle_name(kind)) + " at " + text(where) + " reads lane " +
               std::to_string(call.source) + ", which its mask does not name");
  }
  return call.result;
}

unsigned reduce_unsigned(ReduceKind kind, unsigned mask, unsigned value,
                         const std::source_location& where) {
  return reduce(kind, mask, value, where);
}

int reduce_signed(ReduceKind kind, unsigned mask, int value, const std::source_location& where) {
  return reduce(kind, mask, value, where);
}

unsigned ballot(const char* name, unsigned mask, bool predicate,
                const std::source_location& where) {
  unsigned argument = predicate ? 1 : 0;
  Block::current().meet_warp(name, mask, where, &argument,
                             [](void* const* lanes, unsigned participants) {
                               unsigned votes = 0;
                               for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
                                 if ((participants >> lane & 1) != 0) {
                                   votes |= *static_cast<unsigned*>(lanes[lane]) << lane;
                                 }
                               }
                               for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
                                 if ((participants >> lane & 1) != 0)
                                   *static_cast<unsigned*>(lanes[lane]) = votes;
                               }
                             });
  return argument;
}

unsigned match_any(unsigned mask, std::uint64_t bits, const std::source_location& where) {
  MatchArgument argument{bits, 0};
  Block::current().meet_warp(
      "__match_any_sync", mask, where, &argument, [](void* const* lanes, unsigned participants) {
        for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
          if ((participants >> lane & 1) == 0) continue;
          auto& mine = *static_cast<MatchArgument*>(lanes[lane]);
          for (unsigned other = 0; other < kWarpThreads; ++other) {
            if ((participants >> other & 1) != 0 &&
                static_cast<MatchArgument*>(lanes[other])->bits == mine.bits) {
              mine.result |= 1U << other;
            }
          }
        }
      });
  return argument.result;
}

}  // namespace sbm::cuda_host
