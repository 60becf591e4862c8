#include "trainer/report.h"

#include <fmt/format.h>

#include <cctype>
#include <string>

#include "trainer/output_file.h"
#include "trainer/report_chart.h"
#include "trainer/report_data.h"
#include "trainer/report_masks.h"
#include "trainer/task_metrics.h"

namespace sbm::trainer {
namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1b2130;--soft:#667085;--line:#e3e6ec;
--c0:#2563cd;--c1:#d9730d;--c2:#0f8a6b;--c3:#a23fb0;--c4:#b8860b;--c5:#c8344f;--c6:#4a90b8;--c7:#6b7280}
@media(prefers-color-scheme:dark){:root{--bg:#11141b;--card:#191e28;--ink:#e8ebf2;--soft:#97a1b3;
--line:#2b3240;--c0:#6ea0ff;--c1:#f2994a;--c2:#3cc9a0;--c3:#d07be0;--c4:#e0b040;--c5:#f2708a;
--c6:#7cc4ea;--c7:#9aa3b2}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 18px 60px}h1{margin:0;font-size:26px}
h2{margin:36px 0 12px;font-size:18px}.sub{color:var(--soft);margin:2px 0 22px}
.numbers{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}
.numbers div,figure,details{background:var(--card);border:1px solid var(--line);border-radius:10px}
.numbers div{padding:12px 14px}.numbers b{display:block;font-size:22px;font-variant-numeric:tabular-nums}
.numbers span,.numbers small{color:var(--soft);font-size:13px}.numbers small{display:block}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:14px}
figure{margin:0;padding:12px 14px;min-width:0}figcaption{font-weight:600;margin-bottom:4px}
svg{width:100%;height:auto;display:block}.grid{stroke:var(--line)}
.tick{fill:var(--soft);font-size:11px;font-variant-numeric:tabular-nums}
.legend{list-style:none;margin:4px 0 0;padding:0;display:flex;flex-wrap:wrap;gap:2px 16px;font-size:13px;
color:var(--soft)}.legend b{color:var(--ink);font-weight:600;font-variant-numeric:tabular-nums}
.legend i{display:inline-block;width:16px;border-top:3px solid var(--c);margin-right:6px;vertical-align:middle}
.legend i.dashed{border-top-style:dashed}.empty{color:var(--soft);padding:24px 0;text-align:center;margin:0}
.masks{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,260px),1fr));gap:14px}
.pair{display:flex;gap:12px}.pair>div{flex:1;min-width:0}.pair small{color:var(--soft)}
canvas.mask{width:100%;image-rendering:pixelated;border-radius:4px;display:block}
details{padding:10px 14px;margin-top:14px}summary{cursor:pointer;font-weight:600}
pre{overflow:auto;font:13px/1.45 ui-monospace,Menlo,Consolas,monospace;margin:10px 0 2px}
footer{color:var(--soft);font-size:13px;margin-top:28px})";

std::string percent(double share) { return fmt::format("{:.2f} %", 100.0 * share); }

std::string title(std::string metric) {
  metric[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(metric[0])));
  return metric;
}

double last_value(const std::map<std::string, Series>& all, const std::string& name) {
  const auto found = all.find(name);
  return found == all.end() || found->second.empty() ? 0.0 : found->second.back().second;
}

Series series(const std::map<std::string, Series>& all, const std::string& name) {
  const auto found = all.find(name);
  return found == all.end() ? Series() : found->second;
}

std::string number(const std::string& label, const std::string& value, const std::string& note) {
  return fmt::format("<div><span>{}</span><b>{}</b><small>{}</small></div>", label, value,
                     escape_html(note));
}

std::string headline(const ReportData& data) {
  std::string html = "<div class=numbers>";
  html += number("Step", fmt::format("{}", data.step), fmt::format("of {}", data.total_steps));
  html +=
      number("Best validation " + data.main_metric,
             data.best_step < 0 ? "–" : metric_text(data.main_metric, data.best_value),
             data.best_step < 0 ? "no evaluation yet" : fmt::format("at step {}", data.best_step));
  html += number("Training loss", fmt::format("{:.4f}", last_value(data.training, "loss")),
                 fmt::format("validation {:.4f}", last_value(data.validation, "loss")));
  html += number("Density", percent(last_value(data.training, "density")),
                 "drawn edges over valid cells");
  html +=
      number("Speed", fmt::format("{:.0f} tok/s", last_value(data.training, "tokens_per_second")),
             fmt::format("{:.0f} ms a step", 1000.0 * last_value(data.training, "step_seconds")));
  html += number("Peak memory", fmt::format("{:.0f} MiB", data.peak_memory_bytes / 1048576.0),
                 "resident, rank 0");
  return html + "</div>";
}

std::string charts(const ReportData& data) {
  std::string html = "<div class=charts>";
  html += render_chart(
      {.title = judges_scores(data.task) ? "Loss (mean squared error)" : "Loss (cross-entropy)"},
      {{"training", series(data.training, "loss"), 0, false},
       {"validation", series(data.validation, "loss"), 1, true}});
  for (const std::string& metric : task_metrics(data.task)) {
    html += render_chart({.title = title(metric), .percent = is_share(metric)},
                         {{"training", series(data.training, metric), 0, false},
                          {"validation", series(data.validation, metric), 1, true}});
  }
  std::vector<ChartLine> densities = {{"all heads", series(data.training, "density"), 7, true}};
  for (std::size_t i = 0; i < data.head_density.size(); ++i) {
    const auto heads = static_cast<std::size_t>(data.heads);
    densities.push_back({fmt::format("layer {} head {}", i / heads, i % heads),
                         data.head_density[i], static_cast<int>(i % 7), i / 7 % 2 == 1});
  }
  html += render_chart(
      {.title = "Density of the sampled masks", .percent = true, .zero_based = true}, densities);
  html += render_chart({.title = "Learning rate", .zero_based = true},
                       {{"learning rate", series(data.training, "learning_rate"), 2, false}});
  html += render_chart({.title = "Gradient norm, before clipping", .log_scale = true},
                       {{"gradient norm", series(data.training, "gradient_norm"), 3, false}});
  html += render_chart({.title = "Tokens a second", .zero_based = true},
                       {{"tokens/s", series(data.training, "tokens_per_second"), 4, false}});
  return html + "</div>";
}

std::string page(const ReportData& data, const std::string& run_directory) {
  const std::string name = escape_html(data.name);
  const std::string folder = escape_html(run_directory);
  std::string state = escape_html(data.state.empty() ? "unknown state" : data.state);
  if (!data.reason.empty()) state += ": " + escape_html(data.reason);
  std::string html = fmt::format(
      "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
      "content=\"width=device-width,initial-scale=1\"><title>{0} – sbm</title><style>{1}</style>"
      "</head><body><main><h1>{0}</h1><p class=sub>{2} · {3}</p>",
      name, kStyle, escape_html(data.task), state);
  html += headline(data) + "<h2>Training</h2>" + charts(data);
  html += fmt::format("<h2>Masks{}</h2>",
                      data.picture_step < 0 ? "" : fmt::format(" at step {}", data.picture_step));
  html += render_masks(data);
  html += fmt::format(
      "<h2>Going on</h2><details open><summary>Commands</summary><pre>sbm eval --checkpoint {0} "
      "--split test\nsbm eval --checkpoint {0} --split test --mask random\nsbm checkpoint list "
      "{0}\n"
      "sbm checkpoint export {0} --out model.safetensors\ntensorboard --logdir {0}</pre></details>"
      "<details><summary>Configuration</summary><pre>{1}</pre></details>",
      folder, escape_html(data.configuration));
  return html +
         "<footer>Curves: metrics.jsonl of the run. Masks: the first validation sample, its first "
         "tokens, rows are queries; drawn as evaluation draws them. Density leaves out forced "
         "self-loops.</footer></main></body></html>\n";
}

}  // namespace

std::filesystem::path write_report(const std::filesystem::path& run_directory) {
  const ReportData data = read_report_data(run_directory);
  const std::filesystem::path path = run_directory / "report.html";
  replace_file(path, page(data, run_directory.string()));
  return path;
}

}  // namespace sbm::trainer
