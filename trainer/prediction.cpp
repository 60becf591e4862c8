#include "trainer/prediction.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "data/evaluation_batches.h"
#include "distributed/partition.h"
#include "trainer/batch_tensors.h"

namespace sbm::trainer {
namespace {

/// The names as JSON strings, quotes included. Names come from files, so bytes that are no UTF-8
/// are replaced instead of ending a long prediction.
std::vector<std::string> quoted(const std::vector<std::string>& names) {
  std::vector<std::string> result;
  for (const std::string& name : names) {
    result.push_back(
        nlohmann::json(name).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  return result;
}

/// What the model says about one micro-batch, as lines.
class Lines {
 public:
  /// `predictions` as AveragedDraws; `names` are quoted.
  Lines(data::LabelKind labels, const data::Batch& batch, const at::Tensor& predictions,
        const std::vector<std::string>& names)
      : labels_(labels),
        batch_(batch),
        names_(names),
        probabilities_(predictions.cpu().contiguous()),
        chosen_(probabilities_.argmax(-1).contiguous()) {
    if (labels_ != data::LabelKind::kScore && probabilities_.size(-1) != std::ssize(names)) {
      throw InternalError(
          fmt::format("predictions: expected {} classes, as many as label names, "
                      "found {}",
                      names.size(), probabilities_.size(-1)));
    }
  }

  [[nodiscard]] std::string text() const {
    std::string lines;
    for (std::int64_t row = 0; row < batch_.size; ++row) {
      check(row);
      fmt::format_to(std::back_inserter(lines), R"({{"sample":{},)", sample(row));
      if (labels_ == data::LabelKind::kScore) {
        append_score(row, lines);
      } else if (labels_ == data::LabelKind::kPerToken) {
        append_tokens(row, lines);
      } else {
        append_class(row, lines);
      }
      lines += "}\n";
    }
    return lines;
  }

 private:
  [[nodiscard]] std::uint64_t sample(std::int64_t row) const {
    return batch_.sample_ids[static_cast<std::size_t>(row)];
  }

  [[nodiscard]] std::int64_t length(std::int64_t row) const {
    return batch_.lengths[static_cast<std::size_t>(row)];
  }

  // What stands on padding is nobody's business, so it may be anything.
  void check(std::int64_t row) const {
    at::Tensor mine = probabilities_[row];
    if (labels_ == data::LabelKind::kPerToken) mine = mine.narrow(0, 0, length(row));
    if (!mine.isfinite().all().item<bool>()) {
      throw DivergenceError(
          fmt::format("prediction of sample {}: expected finite numbers, found one that is not: "
                      "the checkpoint's weights are of no use",
                      sample(row)));
    }
  }

  void append_score(std::int64_t row, std::string& line) const {
    const double score = probabilities_.const_data_ptr<double>()[row];
    fmt::format_to(std::back_inserter(line), R"("prediction":{:.6g})", score);
  }

  void append_class(std::int64_t row, std::string& line) const {
    const std::int64_t classes = probabilities_.size(-1);
    const double* values = probabilities_.const_data_ptr<double>() + row * classes;
    line += R"("prediction":)" + name(row) + R"(,"probabilities":[)";
    for (std::int64_t id = 0; id < classes; ++id) {
      fmt::format_to(std::back_inserter(line), "{}{:.6g}", id == 0 ? "" : ",", values[id]);
    }
    line += "]";
  }

  void append_tokens(std::int64_t row, std::string& line) const {
    line += R"("predictions":[)";
    for (std::int64_t token = 0; token < length(row); ++token) {
      if (token > 0) line += ",";
      line += name(row * batch_.padded_length + token);
    }
    line += "]";
  }

  [[nodiscard]] const std::string& name(std::int64_t index) const {
    return names_[static_cast<std::size_t>(chosen_.const_data_ptr<std::int64_t>()[index])];
  }

  data::LabelKind labels_;
  const data::Batch& batch_;
  const std::vector<std::string>& names_;
  at::Tensor probabilities_;  ///< double [batch, classes] or [batch, tokens, classes]; or scores
  at::Tensor chosen_;         ///< int64 [batch] or [batch, tokens]
};

/// The lines of micro-batches [first, first + count), a window of the split, as the ranks wrote
/// them, put into the order of the samples.
std::string in_order_of_ids(const std::vector<std::string>& parts, data::EvaluationBatches& batches,
                            std::int64_t first, std::int64_t count) {
  std::vector<std::pair<std::uint64_t, std::string_view>> lines;
  std::size_t bytes = 0;
  for (const std::string& part : parts) {
    bytes += part.size();
    for (std::string_view rest = part; !rest.empty();) {
      const std::size_t end = rest.find('\n') + 1;
      lines.emplace_back(0, rest.substr(0, end));
      rest.remove_prefix(end);
    }
  }
  std::size_t line = 0;
  for (std::int64_t index = first; index < first + count; ++index) {
    for (const std::uint64_t id : batches.ids(index)) lines.at(line++).first = id;
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  text.reserve(bytes);
  for (const auto& [id, words] : lines) text += words;
  return text;
}

}  // namespace

void predict(distributed::Communicator& communicator, const Encoder& encoder,
             const data::Dataset& dataset, const std::vector<std::string>& label_names,
             const EvaluationOptions& options, const std::function<void(std::string_view)>& write) {
  if (encoder.shape().masked_language) {
    throw ConfigError(
        dataset.task() +
        ": expected a model that predicts something of a sample, found one that fills "
        "in masked tokens: evaluate it, or fine-tune it first");
  }
  const at::NoGradGuard no_gradients;
  const std::vector<std::string> names = quoted(label_names);
  data::EvaluationBatches batches(dataset, options.micro_batch, options.lengths);
  for (std::int64_t first = 0; first < batches.count(); first += data::kEvaluationWindow) {
    const std::int64_t count = std::min(data::kEvaluationWindow, batches.count() - first);
    const distributed::ElementRange run =
        distributed::even_part(count, communicator.rank(), communicator.world_size());
    std::string mine;
    for (std::int64_t index = first + run.begin; index < first + run.end; ++index) {
      if (options.heartbeat) options.heartbeat();
      const data::Batch batch = batches.batch(index);
      const AveragedDraws draws = average_draws(encoder, encoder_input(batch), options);
      mine += Lines(encoder.shape().labels, batch, draws.predictions, names).text();
    }
    if (options.heartbeat) options.heartbeat();
    const std::vector<std::string> parts = distributed::all_gather_strings(communicator, mine);
    if (communicator.rank() == 0) write(in_order_of_ids(parts, batches, first, count));
  }
}

}  // namespace sbm::trainer
