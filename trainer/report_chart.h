#pragma once

#include <string>
#include <vector>

#include "trainer/report_data.h"

namespace sbm::trainer {

/// One line of a chart.
struct ChartLine {
  std::string name;
  Series series;
  int colour = 0;       ///< index of the page's palette, --c0 to --c7
  bool dashed = false;  ///< tells validation from training without colour
};

struct ChartOptions {
  std::string title;
  bool percent = false;     ///< values are shares in [0, 1]
  bool log_scale = false;   ///< of the values; all positive
  bool zero_based = false;  ///< the value axis starts at 0
  std::string empty_message = "nothing recorded yet";
};

/// A figure with inline SVG: axes with round ticks, one path a line, a legend, and the value under
/// the pointer as a title. Lines longer than 500 points are thinned by taking the mean of equal
/// runs of points. Without a finite point: the message instead.
std::string render_chart(const ChartOptions& options, const std::vector<ChartLine>& lines);

/// `text` safe inside HTML elements and attributes.
std::string escape_html(const std::string& text);

}  // namespace sbm::trainer
