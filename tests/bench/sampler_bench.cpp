// Times the sampler on one head and thread:
//   sampler_bench [n=2048] [clusters=32] [density=0.25] [repeats=30] [poisson=0] [form=-1]
// prints the fastest of the repeats, for every form of the first branch or the one given by its
// number. Rows that are sparse enough take the linear branch, whatever the form.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

#include "kernels/cpu/sampler.h"
#include "kernels/cpu/target.h"
#include "tests/bench/timing.h"

namespace {

using sbm::bench::argument;
using sbm::bench::fastest_ms;

using sbm::kernels::cpu::CellForm;

/// Clock cycles a millisecond, from a chain of additions that takes one each.
double cycles_per_ms() {
  constexpr int kSteps = 1 << 20;
  const double ms = fastest_ms(20, [] {
    std::uint64_t sum = 0;
    for (int i = 0; i < kSteps; i += 8) {
      for (int j = 0; j < 8; ++j) {
        sum += 3;
        asm volatile("" : "+r"(sum));
      }
    }
  });
  return kSteps / ms;
}

}  // namespace

int main(int argc, char** argv) {
  const auto n = static_cast<std::int64_t>(argument(argc, argv, 1, 2048));
  const auto k = static_cast<std::int64_t>(argument(argc, argv, 2, 32));
  const double density = argument(argc, argv, 3, 0.25);
  const auto repeats = static_cast<int>(argument(argc, argv, 4, 30));
  const bool poisson = argument(argc, argv, 5, 0.0) != 0.0;
  const auto only = static_cast<int>(argument(argc, argv, 6, -1));

  // Memberships uniform around sqrt(density) and an S that sums to 1, so P is `density` in the
  // mean.
  std::mt19937 generator(1);
  const double mean = std::sqrt(density);
  const double spread = std::min(mean, 1.0 - mean);
  std::uniform_real_distribution<float> uniform(static_cast<float>(mean - spread),
                                                static_cast<float>(mean + spread));
  std::normal_distribution<float> normal;
  std::vector<float> query(static_cast<std::size_t>(n * k));
  std::vector<float> key(query.size());
  std::vector<float> block(static_cast<std::size_t>(k * k));
  for (float& value : query) value = std::min(uniform(generator), 1.0F);
  for (float& value : key) value = std::min(uniform(generator), 1.0F);
  float sum = 0.0F;
  for (float& value : block) sum += value = std::exp(normal(generator));
  for (float& value : block) value /= sum;

  const sbm::PhiloxKey mask_key = 42;
  const sbm::kernels::SamplingParams params = {
      .batch = 1,
      .heads = 1,
      .queries = n,
      .keys = n,
      .clusters = k,
      .query_membership = query.data(),
      .key_membership = key.data(),
      .block_matrix = block.data(),
      .mask_keys = &mask_key,
      .law = poisson ? sbm::kernels::MaskLaw::kPoisson : sbm::kernels::MaskLaw::kBernoulli};
  sbm::kernels::SerialExecutor executor;
  std::vector<sbm::kernels::EdgeList> graphs(1);
  const double clock = cycles_per_ms();
  const double cells = static_cast<double>(n) * static_cast<double>(n);
  std::printf("%s, %.2f GHz, n %ld k %ld density %.4f %s:", sbm::kernels::cpu::target_name(),
              clock * 1e-6, static_cast<long>(n), static_cast<long>(k), density,
              poisson ? "POISSON" : "BERNOULLI");
  constexpr struct {
    const char* name;
    CellForm form;
  } kForms[] = {{"fastest", CellForm::kFastest},
                {"every cell", CellForm::kEveryCell},
                {"coarse", CellForm::kCoarse},
                {"screened", CellForm::kScreened}};
  bool ok = true;
  for (const auto& [name, form] : kForms) {
    if (only >= 0 && form != static_cast<CellForm>(only)) continue;
    const double ms = fastest_ms(repeats, [&] {
      ok = ok && sbm::kernels::cpu::sample_edges(params, executor, graphs, form).ok();
    });
    std::printf("  %s %.3f ms (%.2f clk a cell)", name, ms, ms * clock / cells);
  }
  std::printf("\n");
  if (!ok) {
    std::fprintf(stderr, "sampler_bench: the sampler refused these sizes\n");
    return 2;
  }
  return 0;
}
