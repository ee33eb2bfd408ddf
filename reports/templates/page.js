"use strict";

// The texts of every trial, by its id: hover lines, and the command that runs it again.
const trialTexts = JSON.parse(document.getElementById("trial-texts").textContent);

// What stands before a chart's list of choices; "d: " where nothing else is said.
const CHOICE_LABELS = {
  corruption: "corruption: ",
  robust_linf: "changes up to ",
  accuracy: "measure: ",
  tokens_kl: "",
  tokens_accuracy: "",
  tokens_noise: "",
  frontier: "against ",
  frontier_d: "",
};

const PLOTLY_CONFIG = {
  responsive: true,
  displaylogo: false,
  // The page sends nothing anywhere. Plotly 7.1 would offer to upload each chart to its maker.
  showSendToCloud: false,
  modeBarButtonsToRemove: ["select2d", "lasso2d"],
};

function draw(script) {
  const key = script.dataset.key;
  const figure = JSON.parse(script.textContent);
  const chart = document.getElementById("chart-" + key);

  for (const trace of figure.data)
    if (trace.customdata) trace.customdata = trace.customdata.map(trial => trialTexts[trial]);

  if (window.innerWidth < 700) makeNarrow(figure, chart);

  Plotly.newPlot(chart, figure.data, figure.layout, PLOTLY_CONFIG)
    .then(() => chart.on("plotly_click", event => showPicked(key, event.points[0].customdata)));

  const choices = figure.layout.meta?.choices;
  if (choices) offer(key, choices, k => {
    const data = figure.data.map(trace => trace.meta ? {...trace, ...trace.meta[k]} : trace);
    const axes = {xaxis: {...choices[k].xaxis}, yaxis: {...choices[k].yaxis}};
    Plotly.react(chart, data, {...figure.layout, ...axes});
  });
}

function makeNarrow(figure, chart) {
  // A narrow page wraps the legend to one entry a line, and each line takes 22 px.
  const legend = 22 * figure.data.filter(trace => trace.showlegend !== false).length;
  figure.layout.height = 420 + legend;
  figure.layout.margin = {l: 52, r: 6, t: 6, b: 48 + legend};
  figure.layout.font.size = 11;
  chart.style.minHeight = figure.layout.height + "px";
}

function showPicked(key, texts) {
  if (!texts) return;
  // The texts are escaped for Plotly's hover boxes; parsing turns them into plain text.
  const parsed = new DOMParser().parseFromString(texts.join(" · "), "text/html");
  document.getElementById("picked-" + key).textContent = parsed.body.textContent;
}

function offer(key, choices, choose) {
  const select = document.createElement("select");
  choices.forEach((choice, k) => select.add(new Option(choice.label, k)));
  select.addEventListener("change", () => choose(Number(select.value)));

  const label = document.createElement("label");
  label.append(key.startsWith("ladder") ? "against " : CHOICE_LABELS[key] ?? "d: ", select);
  document.getElementById("choice-" + key).append(label);
}

for (const script of document.querySelectorAll("script.figure")) {
  const chart = document.getElementById("chart-" + script.dataset.key);
  const folded = chart.closest("details.folded");
  // Plotly takes its size from the page, so a folded chart is drawn when it is first opened.
  if (folded && !folded.open) folded.addEventListener("toggle", () => draw(script), {once: true});
  else draw(script);
}
