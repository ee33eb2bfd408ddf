"use strict";

// What a chart does beyond being seen: hover and arrow keys say what a mark is, a click or Enter
// copies the command that runs its trial again, two buttons save the chart. Without this script
// charts are whole, and their drawings can be chosen.
(() => {
  const read = id => JSON.parse(document.getElementById(id)?.textContent ?? "{}");
  const data = read("chart-data"), texts = read("trial-texts");
  const REACH = 18; // pixels between the pointer and the mark that it means
  const tip = document.body.appendChild(document.createElement("div"));
  tip.className = "chart-tip";
  tip.hidden = true;

  const drawingOf = variant =>
    data.charts[variant.closest("figure").id.slice(6)][variant.dataset.value];

  // The marks of a drawing in reading order: {node, series, k}, k their place in the series.
  function marksOf(variant) {
    const drawing = drawingOf(variant);
    const marks = [];
    for (const group of variant.querySelectorAll("[data-marks]")) {
      const series = drawing.series[group.dataset.marks];
      group.querySelectorAll("use").forEach((node, k) => marks.push({node, series, k, drawing}));
    }
    return marks.sort((a, b) => a.node.x.baseVal.value - b.node.x.baseVal.value);
  }

  // The marks of the chosen kind stand out: those of the other kinds are pale.
  const kinds = [...document.querySelectorAll("input[data-switch=kind][data-name]")];
  const names = new Set(kinds.map(input => input.dataset.name));
  function standOut() {
    const chosen = kinds.find(input => input.checked)?.dataset;
    for (const group of document.querySelectorAll(".variant [data-marks]")) {
      const drawing = drawingOf(group.closest(".variant"));
      const series = drawing.series[group.dataset.marks];
      if (names.has(series.name))
        group.classList.toggle("pale", Boolean(chosen) && series.name !== chosen.name);
      else if (drawing.names)
        group.querySelectorAll("use").forEach((node, k) => node.classList.toggle("pale",
          Boolean(chosen) && drawing.names[column(series, "y", k)] !== chosen.label));
    }
  }
  document.addEventListener("chosen", standOut);

  const column = (series, name, k) => name in series ? data.arrays[series[name]][k] : undefined;
  const round = value => typeof value === "number" ? Number(value.toPrecision(3)) : value;
  const placed = ({drawing, series, k}) =>
    drawing.names?.[column(series, "y", k)] ?? round(column(series, "y", k));

  function trialOf(mark) {
    const id = column(mark.series, "trials", mark.k);
    return id === undefined ? undefined : {id, lines: texts.trials[id]};
  }

  function commandOf(mark) {
    const trial = trialOf(mark);
    if (!trial) return "";
    const command = texts.commands[trial.lines[3]];
    return command ? command[0] + trial.id + command[1] : "";
  }

  function say(mark) {
    const {drawing, series, k} = mark;
    const trial = trialOf(mark);
    const lines = trial ? trial.lines.slice(0, 3) : [column(series, "texts", k) ?? series.name];
    const low = column(series, "low", k);
    const bar = low == null ? "" : ` (${round(low)} to ${round(column(series, "high", k))})`;
    lines.push(`${drawing.x}: ${round(column(series, "x", k))}`);
    lines.push(`${drawing.y}: ${placed(mark)}${bar}`);
    if (commandOf(mark)) lines.push("Click or Enter copies the command that runs it again.");
    return lines.filter(Boolean).join("\n");
  }

  function show(mark) {
    hide();
    mark.node.classList.add("near");
    tip.textContent = say(mark);
    tip.hidden = false;
    const box = mark.node.getBoundingClientRect(), width = document.documentElement.clientWidth;
    const left = Math.max(4, Math.min(box.right + 10, width - tip.offsetWidth - 4));
    tip.style.left = left + scrollX + "px";
    tip.style.top = box.bottom + 8 + scrollY + "px";
  }

  function hide() {
    tip.hidden = true;
    document.querySelector("use.near")?.classList.remove("near");
  }

  async function copy(mark, figure) {
    const command = commandOf(mark), picked = figure.querySelector(".picked");
    picked.hidden = false;
    picked.textContent = command || say(mark).replaceAll("\n", " · ");
    if (!command) return;
    // A page opened from a disk may be refused the clipboard; the command then stands on the page.
    try { await navigator.clipboard.writeText(command); picked.textContent = "Copied: " + command; }
    catch { picked.textContent = command; }
  }

  function nearest(marks, event) {
    let best, least = REACH;
    for (const mark of marks) {
      const box = mark.node.getBoundingClientRect();
      const away = Math.hypot(event.clientX - (box.left + box.right) / 2,
        event.clientY - (box.top + box.bottom) / 2);
      if (away < least) [best, least] = [mark, away];
    }
    return best;
  }

  function listen(variant, figure) {
    const svg = variant.querySelector("svg");
    let at = -1, marks;
    const known = () => marks ??= marksOf(variant);

    // The title would pop up over the marks; its words stay for readers who hear the page.
    const title = svg.querySelector("title");
    svg.setAttribute("aria-label", title.textContent);
    svg.removeAttribute("aria-labelledby");
    title.remove();

    svg.addEventListener("pointermove", event => {
      const mark = nearest(known(), event);
      if (mark) show(mark); else hide();
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("click", event => {
      const mark = nearest(known(), event);
      if (mark) copy(mark, figure);
    });

    if (!svg.querySelector("[data-marks] use")) return;
    variant.tabIndex = 0;
    variant.setAttribute("role", "group");
    variant.setAttribute("aria-label",
      svg.getAttribute("aria-label") + ". Arrow keys go from mark to mark, Enter copies.");
    variant.addEventListener("keydown", event => {
      if (event.target !== variant) return;  // a number of the caption has keys of its own
      known();
      const step = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1}[event.key];
      if (step) at = at < 0 && step < 0 ? marks.length - 1 : (at + step + marks.length) % marks.length;
      else if (event.key === "Home") at = 0;
      else if (event.key === "End") at = marks.length - 1;
      else if (event.key === "Escape") { hide(); return; }
      else if (event.key === "Enter" && at >= 0) { copy(marks[at], figure); return; }
      else return;
      event.preventDefault();
      show(marks[at]);
      const picked = figure.querySelector(".picked");
      picked.hidden = false;
      picked.textContent = say(marks[at]).replaceAll("\n", " · ");
    });
    variant.addEventListener("blur", hide);
  }

  function download(name, type, content) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], {type}));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function svgOf(variant) {
    const svg = variant.querySelector("svg").cloneNode(true);
    svg.setAttribute("font-family", "system-ui, sans-serif");
    svg.querySelectorAll(".near").forEach(mark => mark.classList.remove("near"));
    // Programs other than browsers know no custom properties: their fallbacks are the colours.
    return new XMLSerializer().serializeToString(svg)
      .replace(/var\(--chart-\w+,\s*(#\w+)\)/g, "$1");
  }

  // A cell that begins like a formula gets an apostrophe, so that no spreadsheet runs it.
  function cell(value) {
    if (value == null) return "";
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value);
    return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  }

  function csvOf(drawing) {
    const names = ["x", "y", "low", "high", "trials", "texts"];
    const used = names.filter(name => drawing.series.some(series => name in series));
    const titles = {x: drawing.x, y: drawing.y || "row", low: "low", high: "high", trials: "trial", texts: "text"};
    const rows = [["series", "filled", ...used.map(name => titles[name])]];
    for (const series of drawing.series)
      data.arrays[series.x].forEach((_, k) => rows.push([series.name, series.filled,
        ...used.map(name => name === "y" && drawing.names
          ? drawing.names[column(series, name, k)] : column(series, name, k))]));
    return rows.map(row => row.map(cell).join(",")).join("\r\n") + "\r\n";
  }

  for (const figure of document.querySelectorAll(".chart-figure")) {
    const key = figure.id.slice(6), variants = [...figure.querySelectorAll(".variant")];
    for (const variant of variants) listen(variant, figure);

    figure.querySelector(".chart-buttons").hidden = false;
    figure.addEventListener("click", event => {
      const kind = event.target.dataset?.save;
      if (!kind) return;
      const shown = variants.find(variant => getComputedStyle(variant).display !== "none");
      const value = shown.dataset.value, name = value === "only" ? key : `${key}-${value}`;
      if (kind === "svg") download(`${name}.svg`, "image/svg+xml", svgOf(shown));
      else download(`${name}.csv`, "text/csv", csvOf(data.charts[key][value]));
    });
  }
})();
