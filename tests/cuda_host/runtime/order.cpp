#include "cuda_host/order.h"

namespace sbm::cuda_host {
namespace {

thread_local Order order_now;

}  // namespace

std::string Order::name() const {
  switch (kind) {
    case Kind::kForward:
      return "forward order";
    case Kind::kReverse:
      return "reverse order";
    case Kind::kRandom:
      break;
  }
  return "random order " + std::to_string(seed);
}

const std::vector<Order>& orders() {
  static const std::vector<Order> all = [] {
    std::vector<Order> list;
#if defined(SBM_HOST_ASAN) || defined(SBM_HOST_RACE)
    constexpr std::uint64_t kSeeds = 2;
#elif defined(SBM_HOST_COVERAGE)
    // Which lines run does not depend on the order.
    constexpr std::uint64_t kSeeds = 1;
#else
    constexpr std::uint64_t kSeeds = 8;
    list.push_back({Order::Kind::kForward, 0});
    list.push_back({Order::Kind::kReverse, 0});
#endif
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      list.push_back({Order::Kind::kRandom, seed});
    }
    return list;
  }();
  return all;
}

void set_order(const Order& order) { order_now = order; }
const Order& current_order() { return order_now; }

}  // namespace sbm::cuda_host
