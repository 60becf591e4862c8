#include "trainer/report_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace sbm::trainer {
namespace {

constexpr std::size_t kMostPoints = 500;
constexpr std::size_t kMarkedPoints = 60;  // fewer points than this get a dot each
constexpr double kWidth = 640, kHeight = 260;
constexpr double kLeft = 56, kRight = 14, kTop = 12, kBottom = 30;

Series thinned(const Series& series) {
  if (series.size() <= kMostPoints) return series;
  Series result;
  for (std::size_t i = 0; i < kMostPoints; ++i) {
    const std::size_t begin = i * series.size() / kMostPoints;
    const std::size_t end = (i + 1) * series.size() / kMostPoints;
    double step = 0.0, value = 0.0;
    for (std::size_t j = begin; j < end; ++j) {
      step += series[j].first;
      value += series[j].second;
    }
    const auto count = static_cast<double>(end - begin);
    result.emplace_back(step / count, value / count);
  }
  return result;
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  [[nodiscard]] bool empty() const { return low > high; }
  // A range of one value still needs a width to be drawn in.
  void widen() {
    if (high > low) return;
    const double margin = low == 0.0 ? 1.0 : std::abs(low) * 0.1;
    low -= margin;
    high += margin;
  }
};

// 1, 2 or 5 times a power of ten, so that about `count` ticks fit.
double tick_distance(double span, int count) {
  const double raw = span / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power) return factor * power;
  }
  return 10.0 * power;
}

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size >= 1e6) return fmt::format("{:.3g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.3g}k", value / 1e3);
  if (size != 0 && size < 1e-3) return fmt::format("{:.1e}", value);
  return fmt::format("{:.4g}", value);
}

class Plot {
 public:
  Plot(const ChartOptions& options, Range steps, Range values)
      : options_(options), steps_(steps), values_(values) {}

  [[nodiscard]] double x(double step) const {
    return kLeft + (step - steps_.low) / (steps_.high - steps_.low) * (kWidth - kLeft - kRight);
  }
  [[nodiscard]] double y(double value) const {
    const double share = options_.log_scale
                             ? std::log(value / values_.low) / std::log(values_.high / values_.low)
                             : (value - values_.low) / (values_.high - values_.low);
    return kHeight - kBottom - share * (kHeight - kTop - kBottom);
  }
  [[nodiscard]] std::string label(double value) const {
    return options_.percent ? fmt::format("{:.3g}%", 100.0 * value) : short_number(value);
  }
  [[nodiscard]] std::string axes() const {
    std::string svg;
    for (const double value : value_ticks()) {
      svg += fmt::format(
          "<line class=grid x1={:.1f} x2={:.1f} y1={:.1f} y2={:.1f} /><text class=tick x={:.1f} "
          "y={:.1f} text-anchor=end>{}</text>",
          kLeft, kWidth - kRight, y(value), y(value), kLeft - 6, y(value) + 4, label(value));
    }
    const double distance = tick_distance(steps_.high - steps_.low, 6);
    for (double step = std::ceil(steps_.low / distance) * distance; step <= steps_.high;
         step += distance) {
      svg += fmt::format("<text class=tick x={:.1f} y={:.1f} text-anchor=middle>{}</text>", x(step),
                         kHeight - 10, short_number(step));
    }
    return svg;
  }
  [[nodiscard]] std::string line(const ChartLine& line) const {
    std::string path, dots;
    for (const auto& [step, value] : line.series) {
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x(step), y(value));
      if (line.series.size() <= kMarkedPoints) {
        dots += fmt::format(
            "<circle cx={:.1f} cy={:.1f} r=2.6 fill=\"var(--c{})\"><title>{}: {} at step "
            "{:.0f}</title></circle>",
            x(step), y(value), line.colour, escape_html(line.name), label(value), step);
      }
    }
    return fmt::format(
        "<path d=\"{}\" fill=none stroke=\"var(--c{})\" stroke-width=1.8 "
        "stroke-linejoin=round{}><title>{}</title></path>{}",
        path, line.colour, line.dashed ? " stroke-dasharray=\"5 3\"" : "", escape_html(line.name),
        dots);
  }

 private:
  [[nodiscard]] std::vector<double> value_ticks() const {
    std::vector<double> ticks;
    if (options_.log_scale) {
      for (double decade = std::pow(10.0, std::floor(std::log10(values_.low)));
           decade <= values_.high; decade *= 10.0) {
        for (const double factor : {1.0, 2.0, 5.0}) {
          const double tick = factor * decade;
          if (tick >= values_.low && tick <= values_.high) ticks.push_back(tick);
        }
      }
      return ticks;
    }
    const double distance = tick_distance(values_.high - values_.low, 5);
    for (double tick = std::ceil(values_.low / distance) * distance;
         tick <= values_.high + 1e-9 * distance; tick += distance) {
      ticks.push_back(std::abs(tick) < 1e-9 * distance ? 0.0 : tick);
    }
    return ticks;
  }

  const ChartOptions& options_;
  Range steps_, values_;
};

}  // namespace

std::string escape_html(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

std::string render_chart(const ChartOptions& options, const std::vector<ChartLine>& lines) {
  std::vector<ChartLine> drawn;
  Range steps, values;
  for (const ChartLine& line : lines) {
    ChartLine copy = line;
    copy.series = thinned(line.series);
    if (options.log_scale) {
      std::erase_if(copy.series, [](const auto& point) { return point.second <= 0.0; });
    }
    for (const auto& [step, value] : copy.series) {
      steps.include(step);
      values.include(value);
    }
    if (!copy.series.empty()) drawn.push_back(std::move(copy));
  }
  std::string html = "<figure><figcaption>" + escape_html(options.title) + "</figcaption>";
  if (steps.empty()) {
    return html + "<p class=empty>" + escape_html(options.empty_message) + "</p></figure>";
  }
  if (options.zero_based) values.include(0.0);
  steps.widen();
  values.widen();
  const Plot plot(options, steps, values);
  html += fmt::format("<svg viewBox=\"0 0 {} {}\" role=img aria-label=\"{}\">{}", kWidth, kHeight,
                      escape_html(options.title), plot.axes());
  for (const ChartLine& line : drawn) html += plot.line(line);
  html += "</svg><ul class=legend>";
  for (const ChartLine& line : drawn) {
    html += fmt::format("<li><i class=\"{}\" style=\"--c:var(--c{})\"></i>{} <b>{}</b></li>",
                        line.dashed ? "dashed" : "", line.colour, escape_html(line.name),
                        plot.label(line.series.back().second));
  }
  return html + "</ul></figure>";
}

}  // namespace sbm::trainer
