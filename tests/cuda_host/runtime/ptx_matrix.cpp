#include <cmath>
#include <cstring>
#include <string>

#include "cuda_host/ptx.h"
#include "cuda_host/runtime/block.h"
#include "cuda_host/runtime/memory.h"
#include "cuda_host/runtime/race.h"
#include "cuda_host/runtime/shared_memory.h"

namespace sbm::kernels::cuda::ptx {
namespace {

using cuda_host::Block;
using cuda_host::kWarpThreads;
using cuda_host::Region;
using cuda_host::SharedMemory;

constexpr unsigned kAllLanes = 0xffffffffU;

struct LoadArgument {
  const void* row;
  std::uint32_t* r;
};

std::uint16_t element(const void* row, unsigned column) {
  std::uint16_t value = 0;
  std::memcpy(&value, static_cast<const char*>(row) + 2 * column, sizeof value);
  return value;
}

template <unsigned matrices, bool transposed>
void combine_load(void* const* lanes, unsigned /*mask*/) {
  for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
    const unsigned group = lane / 4;
    const unsigned pair = 2 * (lane % 4);
    for (unsigned matrix = 0; matrix < matrices; ++matrix) {
      const auto row = [&](unsigned index) {
        return static_cast<LoadArgument*>(lanes[8 * matrix + index])->row;
      };
      const std::uint16_t low = transposed ? element(row(pair), group) : element(row(group), pair);
      const std::uint16_t high =
          transposed ? element(row(pair + 1), group) : element(row(group), pair + 1);
      static_cast<LoadArgument*>(lanes[lane])->r[matrix] = std::uint32_t{high} << 16 | low;
    }
  }
}

// Rows are checked as reads of the lane that names them.
template <unsigned matrices, bool transposed>
void load(const char* name, std::uint32_t (&r)[matrices], const void* row,
          const std::source_location& where) {
  constexpr std::size_t kRowBytes = 16;
  const cuda_host::Outside outside;
  Block& block = Block::current();
  cuda_host::Thread& thread = *Block::running();
  if (thread.lane() < 8 * matrices) {
    Region* array = SharedMemory::current().find(row);
    const char* problem = nullptr;
    if (array == nullptr || !array->holds(row, kRowBytes)) {
      problem = ": row outside every shared array, ";
    } else if (reinterpret_cast<std::uintptr_t>(row) % kRowBytes != 0) {
      problem = ": row is no multiple of 16 bytes, ";
    }
    if (problem != nullptr) {
      block.fail(std::string(name) + " at " + cuda_host::text(where) + problem +
                 cuda_host::describe_address(row));
    }
    cuda_host::race::access(thread, *array, row, kRowBytes, cuda_host::race::Kind::kRead,
                            __builtin_return_address(0));
  }
  std::uint32_t result[matrices] = {};
  LoadArgument argument{row, result};
  block.meet_warp(name, kAllLanes, where, &argument, &combine_load<matrices, transposed>);
  std::memcpy(r, result, sizeof result);
}

template <class Sum>
struct ProductArgument {
  Sum* d;
  const std::uint32_t* a;
  const std::uint32_t* b;
};

// d += a b of the fragments of all lanes, each word holding `packed` elements along the sum. The
// manual's layout: element e of word w of `a` in lane (group, quad_lane) is row group + 8 (w % 2),
// column packed quad_lane + e + 4 packed (w / 2); element e of word w of `b` is row
// packed quad_lane + e + 4 packed w of column group.
template <class Sum, unsigned packed, class Element>
void combine_product(void* const* lanes, Element element_of) {
  constexpr unsigned kRows = 16;
  constexpr unsigned kColumns = 8;
  constexpr unsigned kDepth = 8 * packed;
  Sum a[kRows][kDepth];
  Sum b[kDepth][kColumns];
  for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
    const auto& argument = *static_cast<ProductArgument<Sum>*>(lanes[lane]);
    const unsigned group = lane / 4;
    for (unsigned word = 0; word < 4; ++word) {
      const unsigned first = packed * (lane % 4) + 4 * packed * (word / 2);
      for (unsigned e = 0; e < packed; ++e) {
        a[group + 8 * (word % 2)][first + e] = element_of(argument.a[word], e);
      }
    }
    for (unsigned word = 0; word < 2; ++word) {
      const unsigned first = packed * (lane % 4) + 4 * packed * word;
      for (unsigned e = 0; e < packed; ++e) b[first + e][group] = element_of(argument.b[word], e);
    }
  }
  Sum product[kRows][kColumns] = {};
  for (unsigned row = 0; row < kRows; ++row) {
    for (unsigned k = 0; k < kDepth; ++k) {
      for (unsigned column = 0; column < kColumns; ++column) {
        product[row][column] += a[row][k] * b[k][column];
      }
    }
  }
  for (unsigned lane = 0; lane < kWarpThreads; ++lane) {
    Sum* d = static_cast<ProductArgument<Sum>*>(lanes[lane])->d;
    for (unsigned i = 0; i < 4; ++i)
      d[i] += product[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2];
  }
}

float bf16_element(std::uint32_t word, unsigned index) {
  const std::uint32_t bits = (index == 0 ? word << 16 : word & 0xffff0000U);
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace

void ldmatrix_x4(std::uint32_t (&r)[4], const void* shared_row, const std::source_location& where) {
  load<4, false>("ldmatrix_x4", r, shared_row, where);
}
void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* shared_row,
                       const std::source_location& where) {
  load<4, true>("ldmatrix_x4_trans", r, shared_row, where);
}
void ldmatrix_x2(std::uint32_t (&r)[2], const void* shared_row, const std::source_location& where) {
  load<2, false>("ldmatrix_x2", r, shared_row, where);
}
void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* shared_row,
                       const std::source_location& where) {
  load<2, true>("ldmatrix_x2_trans", r, shared_row, where);
}

void mma_m16n8k16_bf16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                       const std::source_location& where) {
  ProductArgument<float> argument{d, a, b};
  Block::current().meet_warp(
      "mma_m16n8k16_bf16", kAllLanes, where, &argument,
      [](void* const* lanes, unsigned) { combine_product<float, 2>(lanes, bf16_element); });
}

void mma_m16n8k32_u8(std::uint32_t (&d)[4], const std::uint32_t (&a)[4],
                     const std::uint32_t (&b)[2], const std::source_location& where) {
  ProductArgument<std::uint32_t> argument{d, a, b};
  Block::current().meet_warp(
      "mma_m16n8k32_u8", kAllLanes, where, &argument, [](void* const* lanes, unsigned) {
        combine_product<std::uint32_t, 4>(
            lanes, [](std::uint32_t word, unsigned index) { return word >> (8 * index) & 0xff; });
      });
}

float exp2_approx(float x) {
  const auto without_subnormals = [](float value) {
    return std::fpclassify(value) == FP_SUBNORMAL ? 0.0F : value;
  };
  return without_subnormals(std::exp2(without_subnormals(x)));
}

}  // namespace sbm::kernels::cuda::ptx
