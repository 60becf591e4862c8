#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/dataset_writer.h"

namespace sbm::data {

/// A small data set of one class label a sample, u8 tokens: sample i of split s has
/// 1 + (7 i + s) % 23 tokens. Returns its fingerprint.
inline std::string write_class_dataset(const std::filesystem::path& folder, std::uint64_t train,
                                       std::uint64_t test, std::uint64_t shard_bytes = 1 << 20) {
  DatasetDescription description;
  description.recipe = {.task = "test/classes",
                        .generator = "test",
                        .parameters = {{"train", std::to_string(train)}},
                        .sources = {{.name = "none", .bytes = 0, .xxh3_128 = "0"}}};
  description.splits = {"train", "test"};
  description.label_kind = LabelKind::kClass;
  description.label_names = {"a", "b", "c"};
  description.vocabulary_size = 40;
  std::filesystem::create_directories(folder);
  DatasetWriter writer(folder, description, shard_bytes);
  for (std::size_t split = 0; split < 2; ++split) {
    for (std::uint64_t i = 0; i < (split == 0 ? train : test); ++i) {
      std::vector<std::uint8_t> tokens;
      for (std::uint64_t t = 0; t < 1 + (7 * i + split) % 23; ++t) {
        tokens.push_back(static_cast<std::uint8_t>(1 + (i * 31 + t * t + split) % 39));
      }
      writer.add(split, {.tokens8 = tokens, .label = static_cast<std::int32_t>(i % 3)});
    }
  }
  return writer.finish();
}

/// A small data set to be masked, u8 tokens, one split "train": [CLS] 1, [SEP] 2, [MASK] 3, words
/// from 4 on; sample i has 8 + 7 i % 23 tokens.
inline std::string write_word_dataset(const std::filesystem::path& folder, std::uint64_t samples) {
  DatasetDescription description;
  description.recipe = {.task = "pretrain/mlm", .generator = "test"};
  description.splits = {"train"};
  description.vocabulary_size = 200;
  description.word_pieces = {
      .cls = 1, .sep = 2, .mask = 3, .continues = std::vector<bool>(200, false)};
  std::filesystem::create_directories(folder);
  DatasetWriter writer(folder, description);
  for (std::uint64_t i = 0; i < samples; ++i) {
    std::vector<std::uint8_t> tokens = {1};
    for (std::uint64_t t = 0; t < 6 + 7 * i % 23; ++t) {
      tokens.push_back(static_cast<std::uint8_t>(4 + (i * 31 + t * t) % 196));
    }
    tokens.push_back(2);
    writer.add(0, {.tokens8 = tokens});
  }
  return writer.finish();
}

/// A small data set with a label for each token, u16 tokens, one split "train".
inline std::string write_token_dataset(const std::filesystem::path& folder, std::uint64_t samples) {
  DatasetDescription description;
  description.recipe = {.task = "test/tokens", .generator = "test"};
  description.splits = {"train"};
  description.label_kind = LabelKind::kPerToken;
  description.label_names = {"small", "large"};
  description.vocabulary_size = 1000;
  std::filesystem::create_directories(folder);
  DatasetWriter writer(folder, description);
  for (std::uint64_t i = 0; i < samples; ++i) {
    std::vector<std::uint16_t> tokens;
    std::vector<std::uint8_t> labels;
    for (std::uint64_t t = 0; t < 1 + i % 11; ++t) {
      tokens.push_back(static_cast<std::uint16_t>(1 + (i * 97 + t * 311) % 999));
      labels.push_back(tokens.back() >= 500 ? 1 : 0);
    }
    writer.add(0, {.tokens16 = tokens, .token_labels = labels});
  }
  return writer.finish();
}

}  // namespace sbm::data
