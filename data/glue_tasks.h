#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/batch.h"

namespace sbm::data {

/// A column that a file of GLUE has at a fixed place. Columns count from 0.
struct GlueColumn {
  int index = -1;             ///< -1: the file has no such column
  std::string_view header{};  ///< what the header calls it
};

/// One official file of a GLUE task: UTF-8, TAB, no quoting, one row a line.
struct GlueFile {
  std::string_view split{};
  std::string_view name{};
  bool has_header = true;
  int fields = 0;       ///< of every row
  GlueColumn first{};   ///< the text, or the first of two
  GlueColumn second{};  ///< the second text
  GlueColumn label{};   ///< absent in a test file
  GlueColumn row{};     ///< in a test file: the row's number from 0, which the server asks for
};

/// A task of GLUE as its official files define it.
struct GlueTask {
  std::string_view name{};  ///< "glue/cola" ...
  LabelKind label_kind = LabelKind::kClass;
  /// The words of the official files, by class id; the server takes the same ones.
  std::vector<std::string> labels{};
  std::vector<GlueFile> files{};  ///< by split

  [[nodiscard]] bool pairs() const { return files.front().second.index >= 0; }
};

/// CoLA, SST-2, MRPC, QQP, STS-B, MNLI, QNLI, RTE, WNLI and the diagnostic set AX.
const std::vector<GlueTask>& glue_tasks();

/// STS-B's scores lie in [0, kMaxGlueScore].
constexpr float kMaxGlueScore = 5;

}  // namespace sbm::data
