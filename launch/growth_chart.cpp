#include "launch/growth_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sbm::launch {
namespace {

constexpr double kWidth = 640.0;
constexpr double kHeight = 380.0;
constexpr double kLeft = 70.0;
constexpr double kRight = 20.0;
constexpr double kTop = 40.0;
constexpr double kBottom = 50.0;

// An image in a page inherits no colours, but it may ask which scheme the reader prefers.
constexpr const char* kStyle =
    "<style>"
    "text{font:13px sans-serif;fill:#333}"
    ".grid{stroke:#8886;stroke-width:1}"
    ".linear{stroke:#888;stroke-width:1.5;stroke-dasharray:5 4;fill:none}"
    ".step{stroke:#0b63b0;stroke-width:2;fill:none}"
    ".point{fill:#0b63b0}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.step{stroke:#6cb6ff}.point{fill:#6cb6ff}}"
    "</style>\n";

/// A logarithmic axis from `low` to `high` on pixels `from` to `to`.
struct Axis {
  double low, high, from, to;
  double operator()(double value) const {
    return from + (to - from) * std::log(value / low) / std::log(high / low);
  }
};

std::string text(double x, double y, const char* anchor, const std::string& words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor,
                     words);
}

std::string line(const char* kind, double x1, double y1, double x2, double y2) {
  return fmt::format(
      "<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", kind, x1,
      y1, x2, y2);
}

}  // namespace

std::string growth_chart(const std::vector<trainer::LengthTime>& times,
                         const std::string& caption) {
  const double fewest = static_cast<double>(times.front().tokens);
  const double most = static_cast<double>(times.back().tokens);
  double least = times.front().seconds;
  double greatest = times.front().seconds * most / fewest;
  for (const trainer::LengthTime& time : times) {
    least = std::min(least, time.seconds);
    greatest = std::max(greatest, time.seconds);
  }
  const Axis x = {fewest, most, kLeft, kWidth - kRight};
  const Axis y = {std::pow(10.0, std::floor(std::log10(least))), greatest * 1.2, kHeight - kBottom,
                  kTop};

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" width=\"{0:g}\" "
      "height=\"{1:g}\" role=\"img\">\n<title>{2}</title>\n",
      kWidth, kHeight, caption);
  svg += kStyle;
  svg += text(kLeft, 20, "start", caption);
  svg += text((kLeft + kWidth - kRight) / 2, kHeight - 10, "middle", "tokens");
  for (double tick = y.low; tick <= y.high; tick *= 10.0) {
    svg += line("grid", kLeft, y(tick), kWidth - kRight, y(tick));
    svg += text(kLeft - 8, y(tick) + 4, "end", fmt::format("{:g} ms", 1000.0 * tick));
  }
  svg += line("linear", kLeft, y(times.front().seconds), kWidth - kRight,
              y(times.front().seconds * most / fewest));
  std::string path;
  std::string points;
  for (const trainer::LengthTime& time : times) {
    const auto tokens = static_cast<double>(time.tokens);
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x(tokens), y(time.seconds));
    points += fmt::format("<circle class=\"point\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\"/>\n",
                          x(tokens), y(time.seconds));
    const bool last = time.tokens == times.back().tokens;
    svg += text(x(tokens), kHeight - kBottom + 18, last ? "end" : "middle",
                fmt::format("{}", time.tokens));
    svg += text(x(tokens) - (last ? 4 : 0), y(time.seconds) - 10, last ? "end" : "middle",
                fmt::format("{:.3g} ms", 1000.0 * time.seconds));
  }
  svg += fmt::format("<path class=\"step\" d=\"{}\"/>\n{}", path, points);
  svg += text(kWidth - kRight, kHeight - kBottom - 12, "end", "dashed: linear from the first");
  return svg + "</svg>\n";
}

}  // namespace sbm::launch
