#include "launch/print_json.h"

#include <iostream>
#include <nlohmann/json.hpp>

namespace sbm::launch {

void print_json(const nlohmann::json& answer) {
  std::cout << answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

}  // namespace sbm::launch
