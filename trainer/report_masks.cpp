#include "trainer/report_masks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace sbm::trainer {
namespace {

std::string base64(const std::vector<std::uint8_t>& bytes) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j) group = (group << 8) | (j < count ? bytes[i + j] : 0U);
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= count ? kAlphabet[(group >> (18 - 6 * j)) & 63U] : '=';
    }
  }
  return text;
}

std::string canvas(const std::vector<std::uint8_t>& cells, std::int64_t tokens, const char* kind) {
  return fmt::format(
      "<canvas class=mask width={0} height={0} data-kind={1} data-cells=\"{2}\"></canvas>", tokens,
      kind, base64(cells));
}

constexpr const char* kPainter = R"(<script>
(() => {
  // Five points of a perceptually even ramp from dark blue to yellow.
  const ramp = [[24,15,61],[91,44,130],[177,63,108],[241,119,67],[252,230,140]];
  const colour = v => {
    const t = v / 255 * (ramp.length - 1), i = Math.min(ramp.length - 2, Math.floor(t)), f = t - i;
    return ramp[i].map((c, k) => c + (ramp[i + 1][k] - c) * f);
  };
  for (const canvas of document.querySelectorAll('canvas.mask')) {
    const cells = atob(canvas.dataset.cells), context = canvas.getContext('2d');
    const image = context.createImageData(canvas.width, canvas.height);
    for (let i = 0; i < cells.length; ++i) {
      const v = cells.charCodeAt(i);
      const [r, g, b] = canvas.dataset.kind === 'edge' ? (v ? [37, 99, 205] : [244, 244, 247]) : colour(v);
      image.data.set([r, g, b, 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
  }
})();
</script>)";

}  // namespace

std::string render_masks(const ReportData& data) {
  if (data.pictures.empty()) {
    return "<p class=empty>no mask was drawn yet (masks are kept at each evaluation of an SBM "
           "model)</p>";
  }
  std::string html = "<div class=masks>";
  for (const MaskPicture& picture : data.pictures) {
    const float top = *std::max_element(picture.probability.begin(), picture.probability.end());
    std::vector<std::uint8_t> shades;
    for (const float value : picture.probability) {
      shades.push_back(
          top > 0 ? static_cast<std::uint8_t>(std::lround(255.0F * std::max(0.0F, value) / top))
                  : std::uint8_t{0});
    }
    const auto edges = std::count(picture.mask.begin(), picture.mask.end(), 1);
    html += fmt::format(
        "<figure><figcaption>layer {}, head {}</figcaption><div class=pair><div>{}<small>P, 0 to "
        "{:.3g}</small></div><div>{}<small>mask, {:.1f} % of cells</small></div></div></figure>",
        picture.layer, picture.head, canvas(shades, picture.tokens, "probability"), top,
        canvas(picture.mask, picture.tokens, "edge"),
        100.0 * static_cast<double>(edges) / static_cast<double>(picture.mask.size()));
  }
  return html + "</div>" + kPainter;
}

}  // namespace sbm::trainer
