#pragma once

#include <bit>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "tests/kernels/sampler_problem.h"

// Reads the golden vectors of docs/sampler.md, section 11.
namespace sbm::kernels::testing {

using Json = nlohmann::json;

inline const Json& golden() {
  static const Json file = [] {
    std::ifstream stream(SBM_SOURCE_DIR "/tests/kernels/golden/sampler.json");
    return Json::parse(stream);
  }();
  return file;
}

inline std::uint64_t number(const Json& hex) {
  return std::stoull(hex.get<std::string>(), nullptr, 16);
}

inline std::vector<float> floats(const Json& text) {
  std::istringstream stream(text.get<std::string>());
  std::vector<float> values;
  for (std::string word; stream >> word;) {
    values.push_back(
        std::bit_cast<float>(static_cast<std::uint32_t>(std::stoul(word, nullptr, 16))));
  }
  return values;
}

inline Problem problem_of(const Json& description) {
  Problem problem(description["batch"], description["heads"], description["queries"],
                  description["keys"], description["clusters"]);
  problem.query = floats(description["query_membership"]);
  problem.key = floats(description["key_membership"]);
  problem.block = floats(description["block_matrix"]);
  problem.query_valid = description["query_valid"].get<std::vector<std::uint8_t>>();
  problem.key_valid = description["key_valid"].get<std::vector<std::uint8_t>>();
  for (std::size_t i = 0; i < problem.mask_keys.size(); ++i) {
    problem.mask_keys[i] = number(description["mask_keys"][i]);
    problem.probe_keys[i] = number(description["probe_keys"][i]);
  }
  problem.params.law = description["law"] == "POISSON" ? MaskLaw::kPoisson : MaskLaw::kBernoulli;
  problem.params.self_loops = description["self_loops"] == "ADD"      ? SelfLoops::kAdd
                              : description["self_loops"] == "REMOVE" ? SelfLoops::kRemove
                                                                      : SelfLoops::kNone;
  problem.params.exploration = std::bit_cast<double>(number(description["exploration"]));
  problem.params.probe_rate = std::bit_cast<double>(number(description["probe_rate"]));
  return problem;
}

}  // namespace sbm::kernels::testing
