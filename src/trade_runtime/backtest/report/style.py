"""How a report looks, on a screen of any width, by day and by night."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --ink: #1c2330; --dim: #5b6675;
  --edge: #dfe3e9; --good: #1c7c54; --bad: #b3263b; }
@media (prefers-color-scheme: dark) { :root { --back: #11151c; --card: #1a202b; --ink: #e6eaf1;
  --dim: #9aa5b5; --edge: #2c3543; --good: #4fd19a; --bad: #ff7d8d; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
header, main, footer { max-width: 1120px; margin: 0 auto; padding: 0 16px; }
header { padding-top: 24px; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1rem; margin: 0 0 8px; }
header p { margin: 4px 0 12px; color: var(--dim); }
section { background: var(--card); border: 1px solid var(--edge); border-radius: 10px;
  padding: 14px 16px; margin: 0 0 14px; min-width: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px; }
.tile > span { display: block; color: var(--dim); font-size: .82rem; }
.tile b { font-size: 1.15rem; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.good { color: var(--good); } .bad { color: var(--bad); }
.note { color: var(--dim); margin: 6px 0 0; font-size: .88rem; }
.chart { height: 300px; width: 100%; overflow: hidden; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--edge);
  white-space: nowrap; font-size: .9rem; }
th { color: var(--dim); font-weight: 600; }
tr:last-child td { border-bottom: 0; }
footer { color: var(--dim); padding-bottom: 24px; font-size: .82rem; }
@media (max-width: 600px) { .chart { height: 240px; } h1 { font-size: 1.3rem; } }
"""

SCRIPT: Final = """
const dark = matchMedia("(prefers-color-scheme: dark)");
const touch = matchMedia("(pointer: coarse)").matches;  // there a drag scrolls the page
let span = SPAN, linking = false;
function draw() {
  const css = getComputedStyle(document.documentElement);
  const colour = (name) => css.getPropertyValue(name).trim();
  CHARTS.forEach((chart, number) => Plotly.react("chart" + number, chart.data, {
    autosize: true, margin: { l: 64, r: 12, t: 8, b: 34 },
    showlegend: !!chart.legend, hovermode: "closest", dragmode: touch ? false : "zoom",
    legend: { orientation: "h", y: 1.12 }, paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 12 },
    xaxis: { type: "date", gridcolor: colour("--edge"), zeroline: false,
      ...(span ? { range: [...span] } : {}) },
    yaxis: { gridcolor: colour("--edge"), zerolinecolor: colour("--dim"), tickformat: ",.10~g" },
  }, { responsive: true, displayModeBar: false }));
}
function link(change) {  // all charts show the same stretch of time
  const chosen = "xaxis.range[0]" in change
    ? [change["xaxis.range[0]"], change["xaxis.range[1]"]]
    : change["xaxis.range"] || (change["xaxis.autorange"] ? SPAN : null);
  if (linking || !chosen) return;
  linking = true;
  span = chosen;
  Promise.all(CHARTS.map((_, number) =>
    Plotly.relayout("chart" + number, { "xaxis.range": [...chosen] })
  )).finally(() => { linking = false; });
}
dark.addEventListener("change", draw);
draw();
document.querySelectorAll(".chart").forEach((chart) => chart.on("plotly_relayout", link));
"""
