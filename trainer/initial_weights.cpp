#include "trainer/initial_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <regex>
#include <set>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "trainer/config.h"
#include "trainer/named_checkpoint.h"
#include "trainer/trainer_state.h"

namespace sbm::trainer {
namespace {

namespace checkpoint = distributed::checkpoint;
using Tensor = checkpoint::ModelWeights::Tensor;
using Shape = std::vector<std::uint64_t>;

constexpr char kPositions[] = "encoder.position_embedding.weight";

bool is_head(std::string_view name) { return name.starts_with("head."); }

/// What an encoder has or has not, depending on the task and the kind of attention.
bool is_optional(std::string_view name) {
  constexpr std::array<std::string_view, 4> kParts = {"position_embedding", "segment_embedding",
                                                      "cluster_embedding", "attention.membership"};
  return name.starts_with("encoder.") && std::ranges::any_of(kParts, [&](std::string_view part) {
           return name.find(part) != std::string_view::npos;
         });
}

std::string shown(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

/// The field that decides a shape, to say what to change.
std::string advice(const std::string& name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kFields = {{
      {"token_embedding", "the vocabulary of the data, model.embedding_dim"},
      {"cluster_embedding", "model.heads, model.head_dim, model.attention.clusters"},
      {"membership", "model.head_dim"},
      {"attention.", "model.heads, model.head_dim, model.embedding_dim"},
      {"feed_forward.", "model.feed_forward_dim, model.embedding_dim"},
  }};
  for (const auto& [part, fields] : kFields) {
    if (name.find(part) != std::string::npos) return fmt::format(" ({})", fields);
  }
  return " (model.embedding_dim)";
}

/// The elements that are taken of `there`; 0 when it does not fit.
std::int64_t fitting(const Tensor& there, const distributed::FlatLayout::Entry& here) {
  if (there.type != checkpoint::DataType::kF32) return 0;
  const Shape shape(here.spec.shape.begin(), here.spec.shape.end());
  if (there.shape == shape) return here.range.size();
  const bool rows_differ = here.spec.name == kPositions && there.shape.size() == 2 &&
                           there.shape[1] == shape[1] && there.shape[0] > 0;
  if (!rows_differ) return 0;
  return static_cast<std::int64_t>(std::min(there.shape[0], shape[0]) * shape[1]);
}

/// Decides about one parameter of this model.
void plan_parameter(const distributed::FlatLayout::Entry& here, const Tensor* there,
                    bool takes_head, WeightPlan& plan) {
  const std::string& name = here.spec.name;
  const Shape shape(here.spec.shape.begin(), here.spec.shape.end());
  if (is_head(name) && !takes_head) {
    plan.fresh.push_back(name);
  } else if (there == nullptr) {
    if (is_optional(name)) {
      plan.fresh.push_back(name);
    } else {
      plan.problems.push_back(
          fmt::format("{}: expected {}, found no such tensor{}", name, shown(shape), advice(name)));
    }
  } else if (const std::int64_t elements = fitting(*there, here); elements > 0) {
    plan.taken[name] = elements;
  } else {
    plan.problems.push_back(fmt::format("{}: expected F32 {}, found {} {}{}", name, shown(shape),
                                        checkpoint::data_type_name(there->type),
                                        shown(there->shape), advice(name)));
  }
}

/// Names in which layers that are alike are one: "encoder.layers.{i}. ...".
std::string listed(const std::vector<std::string>& names) {
  static const std::regex kLayer(R"(\.layers\.\d+\.)");
  std::vector<std::string> lines;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    std::string general = std::regex_replace(name, kLayer, ".layers.{i}.");
    if (seen.insert(general).second) lines.push_back("\n    " + std::move(general));
  }
  return fmt::format("{}", fmt::join(lines, ""));
}

std::string describe(const std::string& source, const std::string& hash, const WeightPlan& plan,
                     const distributed::FlatLayout& layout, const std::string& note) {
  std::vector<std::string> taken;
  std::int64_t values = 0;
  std::string positions;
  for (const auto& entry : layout.entries()) {
    const auto found = plan.taken.find(entry.spec.name);
    if (found == plan.taken.end()) continue;
    taken.push_back(entry.spec.name);
    values += found->second;
    if (found->second == entry.range.size()) continue;
    const std::int64_t width = entry.spec.shape[1];
    positions = fmt::format("\n  positions 1 to {} are taken, {} to {} start at random",
                            found->second / width, found->second / width + 1, entry.spec.shape[0]);
  }
  const auto part = [](const char* what, const std::vector<std::string>& names) {
    return fmt::format("\n  {} {}{}{}", what, names.size(), names.empty() ? "" : ":",
                       listed(names));
  };
  return fmt::format("initialized from {}, XXH3-128 {}{}\n  values taken: {}{}{}{}{}", source, hash,
                     note, values, positions, part("tensors taken:", taken),
                     part("tensors there left:", plan.left), part("parameters new:", plan.fresh));
}

/// What does not fit although the shapes may; `note` is for people.
std::vector<std::string> model_problems(const checkpoint::ModelWeights& weights,
                                        const std::string& source, const Config& config,
                                        const std::string& vocabulary, std::string& note) {
  std::vector<std::string> problems;
  if (!weights.configuration.empty()) {
    const Model there = parse_config(weights.configuration, source).model();
    const Model& here = config.model();
    if (there.heads() != here.heads()) {
      problems.push_back(
          fmt::format("model.heads: expected {}, found {}", here.heads(), there.heads()));
    }
  }
  const TrainerState state = weights.trainer_state.empty()
                                 ? TrainerState()
                                 : trainer_state_from_json(weights.trainer_state);
  if (!state.vocabulary) {
    note = "\n  it does not say which vocabulary its ids belong to: taken to be that of the data";
  } else if (*state.vocabulary != vocabulary) {
    const auto name = [](const std::string& hash) {
      return hash.empty() ? std::string("ids without a vocabulary file") : "XXH3-128 " + hash;
    };
    problems.push_back(fmt::format("vocabulary of the data: expected {}, found {} there",
                                   name(vocabulary), name(*state.vocabulary)));
  }
  return problems;
}

/// Reads into `parameters`; returns the listing.
std::string read_initial_weights(const Config& config, const std::string& vocabulary,
                                 ModelParameters& parameters) {
  const Training& training = config.training();
  const std::filesystem::path path = find_weights(training.initialize_from());
  const checkpoint::ModelWeights weights = checkpoint::inspect_weights(path);
  const WeightPlan plan = plan_weights(weights.tensors, parameters.layout(), parameters.shape());
  std::string note;
  std::vector<std::string> problems =
      model_problems(weights, path.string(), config, vocabulary, note);
  problems.insert(problems.end(), plan.problems.begin(), plan.problems.end());
  if (!problems.empty()) {
    throw CheckpointError(
        fmt::format("{}: {} thing{} not fit the model that training.initialize_from names it for:"
                    "\n  {}",
                    path.string(), problems.size(), problems.size() == 1 ? " does" : "s do",
                    fmt::join(problems, "\n  ")));
  }
  std::map<std::string, std::span<float>> destinations;
  for (const auto& entry : parameters.layout().entries()) {
    const auto found = plan.taken.find(entry.spec.name);
    if (found == plan.taken.end()) continue;
    destinations[entry.spec.name] = parameters.weights().subspan(
        static_cast<std::size_t>(entry.range.begin), static_cast<std::size_t>(found->second));
  }
  const std::string hash = checkpoint::read_weights(path, destinations);
  if (hash != training.initialize_from_hash()) {
    throw CheckpointError(fmt::format("{}: expected XXH3-128 {}, found {}: it changed meanwhile",
                                      path.string(), training.initialize_from_hash(), hash));
  }
  return describe(path.string(), hash, plan, parameters.layout(), note);
}

/// Collective. What `work` of rank 0 returns, on every rank; its CheckpointError on every rank.
std::string on_rank_0(distributed::Communicator& communicator,
                      const std::function<std::string()>& work) {
  std::string answer;
  if (communicator.rank() == 0) {
    try {
      answer = "+" + work();
    } catch (const CheckpointError& error) {
      answer = std::string("-") + error.what();
    } catch (const ConfigError& error) {  // of the configuration that the other model was made by
      answer = std::string("-") + error.what();
    }
  }
  answer = distributed::broadcast_string(communicator, answer, 0);
  if (answer.starts_with('-')) throw CheckpointError(answer.substr(1));
  return answer.substr(1);
}

}  // namespace

WeightPlan plan_weights(const std::vector<Tensor>& there, const distributed::FlatLayout& here,
                        const ModelShape& shape) {
  std::map<std::string_view, const Tensor*> tensors;
  for (const Tensor& tensor : there) tensors[tensor.name] = &tensor;
  const bool takes_head = shape.masked_language && tensors.contains("head.transform.weight");
  WeightPlan plan;
  std::set<std::string_view> wanted;
  for (const auto& entry : here.entries()) {
    const auto found = tensors.find(entry.spec.name);
    plan_parameter(entry, found == tensors.end() ? nullptr : found->second, takes_head, plan);
    if (!is_head(entry.spec.name) || takes_head) wanted.insert(entry.spec.name);
  }
  for (const Tensor& tensor : there) {
    if (wanted.contains(tensor.name)) continue;
    if (is_head(tensor.name) || is_optional(tensor.name)) {
      plan.left.push_back(tensor.name);
    } else {
      plan.problems.push_back(fmt::format("{} {}: the model here has no such parameter",
                                          tensor.name, shown(tensor.shape)));
    }
  }
  return plan;
}

Config note_initial_weights(distributed::Communicator& communicator, const Config& config,
                            const std::optional<std::filesystem::path>& resumed) {
  Config noted = config;
  Training& training = *noted.mutable_training();
  if (training.initialize_from().empty()) return noted;
  if (resumed) {
    if (training.initialize_from_hash().empty()) {
      training.set_initialize_from_hash(
          checkpoint_configuration(*resumed).training().initialize_from_hash());
    }
    return noted;
  }
  const std::string hash = on_rank_0(communicator, [&] {
    const std::filesystem::path path = find_weights(training.initialize_from());
    std::string found = checkpoint::read_weights(path, {});
    if (!training.initialize_from_hash().empty() && training.initialize_from_hash() != found) {
      throw CheckpointError(
          fmt::format("{}: expected XXH3-128 {} (training.initialize_from_hash), found {}",
                      path.string(), training.initialize_from_hash(), found));
    }
    return found;
  });
  training.set_initialize_from_hash(hash);
  return noted;
}

std::string initialize_weights(distributed::Communicator& communicator, const Config& config,
                               const std::string& vocabulary, ModelParameters& parameters) {
  std::string listing =
      on_rank_0(communicator, [&] { return read_initial_weights(config, vocabulary, parameters); });
  communicator.broadcast(std::as_writable_bytes(parameters.weights()), 0)->wait();
  return listing;
}

}  // namespace sbm::trainer
