#include "kernels/reference/sampler_linear.h"

#include <algorithm>
#include <bit>
#include <set>

#include "kernels/sampler_fixed_point.h"

namespace sbm::kernels::reference {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr Wide power(int exponent) { return Wide{1} << exponent; }

Wide hi64(Wide a, Wide b) { return a * b / power(64); }

/// The logarithm of section 7, but for its table of constants.
Wide nlog(std::uint64_t x) {
  const int z0 = std::countl_zero(x);
  const Wide f = x << z0;
  const auto i = static_cast<std::size_t>(f / power(57) % 64);
  const Wide r = (power(22) + 63 + i) / (64 + i);
  const Wide z = (f * r - power(79)) / power(15);
  Wide b = power(64) / 9;
  for (unsigned n = 8; n >= 2; --n) b = (power(64) - 1) / n - hi64(z, b);
  b = power(64) - 1 - hi64(z, b);
  const Wide all = Wide(z0 + 1) * kLogOfTwo;
  const Wide part = kLogTable[i] + hi64(z, b) / power(6);
  return all > part ? all - part : 0;
}

/// min(ceil(x / 2^y), 2^63).
Wide divide_up(std::uint64_t x, int y) {
  if (x == 0) return 0;
  if (y >= 64) return 1;
  if (y >= 0) return std::min((x + power(y) - 1) / power(y), power(63));
  return y <= -64 ? power(63) : std::min(x * power(-y), power(63));
}

/// floor(x 2^y), below 2^64.
std::uint64_t scale_down(std::uint64_t x, int y) {
  if (x == 0 || y <= -64) return 0;
  return static_cast<std::uint64_t>(y < 0 ? x / power(-y) : x * power(y));
}

/// The table of v.
std::uint64_t factor_for(Wide bound) {
  struct Line {
    std::uint64_t v;
    std::uint64_t limit;
  };
  for (const Line& line : {Line{61440, 517910152}, Line{52428, 1589390726}, Line{43690, 2499127368},
                           Line{32768, 3419990639}, Line{21845, 4038484335},
                           Line{16384, 4209454345}, Line{10922, 4284098870}, Line{8192, 4293511254},
                           Line{5461, 4294940613}, Line{4096, 4294966805}}) {
    if (bound <= line.limit) return line.v;
  }
  return 2849;
}

struct Arrival {
  std::uint64_t position;
  std::uint64_t uniform;
};

/// The arrivals of one of the two processes of row i.
std::vector<Arrival> arrivals(std::uint64_t total, int bits, std::uint32_t tag, std::uint64_t v,
                              std::uint32_t i, PhiloxKey mask_key) {
  std::vector<Arrival> list;
  if (total == 0) return list;
  const int y = std::countl_zero(total) - 1;
  const Wide end = total * power(y);
  const int shift = bits + y - 58;
  if (shift >= 64) return list;
  Wide position = 0;
  for (std::uint32_t t = 0;; ++t) {
    const PhiloxBlock words = philox4x32<7>({i, t, tag, 2}, mask_key);
    const std::uint64_t u1 = words[0] + (std::uint64_t{words[1]} << 32);
    const std::uint64_t u2 = words[2] + (std::uint64_t{words[3]} << 32);
    const Wide unscaled = hi64(nlog(u1 == 0 ? 1 : u1), v * power(48));
    const Wide gap = shift < 0 ? unscaled / power(-shift) : unscaled * power(shift);
    if (gap >= end - position) return list;
    position += gap;
    list.push_back({static_cast<std::uint64_t>(position / power(y)), u2});
  }
}

}  // namespace

LinearBranch::LinearBranch(const QuantizedKeys& keys, MaskLaw law, std::uint32_t exploration)
    : law_(law),
      d_(exploration),
      g_(static_cast<std::size_t>(keys.clusters),
         std::vector<std::uint64_t>(static_cast<std::size_t>(keys.count()))),
      total_(g_.size()),
      largest_(g_.size()) {
  for (std::int64_t j = 0; j < keys.count(); ++j) {
    if (!keys.is_valid(j)) continue;
    valid_.push_back(j);
    ek_min_ = std::min<int>(ek_min_, keys.exponents[static_cast<std::size_t>(j)]);
  }
  if (valid_.empty()) return;
  sh_ = std::min(16, 31 - static_cast<int>(std::bit_width(valid_.size() - 1)));
  for (const std::int64_t j : valid_) {
    const int scale = sh_ - (keys.exponents[static_cast<std::size_t>(j)] - ek_min_);
    for (std::size_t c = 0; c < g_.size(); ++c) {
      const auto weight = static_cast<std::uint64_t>(divide_up(keys.row(j)[c], -scale));
      g_[c][static_cast<std::size_t>(j)] = weight;
      total_[c] += weight;
      largest_[c] = std::max(largest_[c], weight);
    }
  }
}

std::int64_t LinearBranch::valid_keys() const { return std::ssize(valid_); }

LinearBranch::Row LinearBranch::plan(const WeightRow& row) const {
  Row plan;
  if (valid_.empty()) return plan;
  plan.f = row.exponent + ek_min_ + sh_;
  std::uint64_t largest = 0;
  for (std::size_t c = 0; c < g_.size(); ++c) {
    plan.a += row.weights[c] * total_[c];
    largest += row.weights[c] * largest_[c];
  }
  const Wide bound = divide_up(largest, plan.f) + d_;
  if (bound >= power(36)) return plan;
  plan.v = law_ == MaskLaw::kPoisson ? 61440 : factor_for(bound);
  const Wide expected = divide_up(plan.a, plan.f) + Wide{d_} * valid_.size();
  plan.linear = expected <= Wide{valid_.size()} * plan.v * power(8);
  return plan;
}

bool LinearBranch::takes(const WeightRow& row) const { return plan(row).linear; }

std::int64_t LinearBranch::cluster_key(const WeightRow& row, std::uint64_t position) const {
  std::size_t c = 0;
  for (; position >= row.weights[c] * total_[c]; ++c) position -= row.weights[c] * total_[c];
  const std::uint64_t offset = position / row.weights[c];
  std::uint64_t sum = 0;
  std::size_t j = 0;
  while (sum + g_[c][j] <= offset) sum += g_[c][j++];
  return static_cast<std::int64_t>(j);
}

std::vector<std::int64_t> LinearBranch::draw(
    const WeightRow& row, std::uint32_t i, PhiloxKey mask_key,
    const std::function<std::uint32_t(std::int64_t)>& threshold) const {
  const Row plan = this->plan(row);
  const int fraction_bits = 32 + plan.f;
  std::set<std::int64_t> kept;
  const auto thin = [&](std::int64_t j, std::uint64_t uniform) {
    const std::uint32_t t = threshold(j);
    if (t == 0) return;
    std::uint64_t weight = 0;
    for (std::size_t c = 0; c < g_.size(); ++c) {
      weight += row.weights[c] * g_[c][static_cast<std::size_t>(j)];
    }
    const Wide hazard = nlog(static_cast<std::uint64_t>((power(32) - t) * power(32)));
    const Wide rate = scale_down(weight, 58 - fraction_bits) + d_ * power(26);
    if (hi64(uniform, rate) < hi64(hazard, plan.v * power(48))) kept.insert(j);
  };
  for (const Arrival& arrival : arrivals(plan.a, fraction_bits, 0, plan.v, i, mask_key)) {
    thin(cluster_key(row, arrival.position), arrival.uniform);
  }
  for (const Arrival& arrival : arrivals(d_ * valid_.size(), 32, 1, plan.v, i, mask_key)) {
    thin(valid_[arrival.position / d_], arrival.uniform);
  }
  return {kept.begin(), kept.end()};
}

}  // namespace sbm::kernels::reference
