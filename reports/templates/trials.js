"use strict";

// The table of trials: sorted by any column, searched, and shown a hundred rows at a time. The first
// rows are read from the page itself, the further ones from columns in a block of JSON.
(() => {
  const table = document.getElementById("trial-table");
  if (!table) return;
  const PER_PAGE = 100;
  const body = table.tBodies[0];
  const headers = [...table.tHead.rows[0].cells];
  const names = headers.map(header => header.textContent);
  const numeric = headers.map(header => "numeric" in header.dataset);
  const byId = id => document.getElementById(id);

  let columns = null;  // texts of every cell, column by column
  let searchable = null;  // each row's text in lower case
  let order = null;  // rows in the order of the last sorting
  let found = null;  // those of them that the search has found
  let first = 0;  // the first row shown, as a place in `found`
  let sorted = {column: -1, descending: false};

  // Python's %.4g of a number that has four digits.
  function figure(value) {
    const size = Math.floor(Math.log10(Math.abs(value)));
    if (value === 0 || (size >= -4 && size < 4)) return String(value);
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  }

  function whole(value) {
    return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
  }

  function textsOf(stored) {
    if (!stored.values)
      return stored.codes ? stored.codes.map(code => stored.texts[code]) : stored.texts;
    const write = stored.whole ? whole : figure;
    return stored.values.map(value => value === null ? "" : write(value));
  }

  function read() {
    if (columns) return;
    const plain = [...body.rows].map(row => [...row.cells].map(cell => cell.textContent));
    const further = JSON.parse(byId("trials-data").textContent).map(textsOf);
    columns = names.map((_, c) => plain.map(row => row[c]).concat(further[c]));
    order = columns[0].map((_, row) => row);
    found = order;
  }

  function makeSearchable() {
    searchable ??= columns[0].map((_, row) =>
      columns.map(column => column[row]).join(" ").toLowerCase());
  }

  function show() {
    const rows = found.slice(first, first + PER_PAGE).map(row => {
      const line = document.createElement("tr");
      columns.forEach((column, c) => {
        const cell = line.insertCell();
        cell.textContent = column[row];
        if (names[c] === "trial_id") line.dataset.trial = column[row];
      });
      return line;
    });
    body.replaceChildren(...rows);
    const last = first + rows.length;
    byId("trial-count").textContent = found.length
      ? `rows ${first + 1} to ${last} of ${whole(found.length)}`
      : order.length ? "no row contains these words" : "no trial has finished";
    byId("trial-back").disabled = first === 0;
    byId("trial-on").disabled = last >= found.length;
  }

  function search() {
    const words = byId("filter").value.toLowerCase().split(/\s+/).filter(word => word);
    if (words.length) makeSearchable();
    found = words.length
      ? order.filter(row => words.every(word => searchable[row].includes(word)))
      : order;
    first = 0;
    show();
  }

  function sortBy(c) {
    const descending = sorted.column === c && !sorted.descending;
    sorted = {column: c, descending};
    headers.forEach((header, k) => {
      if (k === c) header.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    });
    const column = columns[c];
    const keys = numeric[c] ? column.map(text => parseFloat(text.replaceAll(",", ""))) : column;
    const compare = numeric[c] ? (a, b) => a - b : (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const missing = row => column[row] === "";
    const sign = descending ? -1 : 1;
    // Rows without a value stay last in both directions.
    order = column.map((_, row) => row).sort((a, b) =>
      missing(a) - missing(b) || (missing(a) ? a - b : sign * compare(keys[a], keys[b]) || a - b));
    search();
  }

  function download() {
    const quote = text => /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    // A spreadsheet would compute a text that begins like a formula.
    const safe = (text, c) => !numeric[c] && /^[=+\-@\t]/.test(text) ? "'" + text : text;
    const value = (row, c) =>
      numeric[c] ? columns[c][row].replaceAll(",", "") : quote(safe(columns[c][row], c));
    const lines = found.map(row => names.map((_, c) => value(row, c)).join(","));
    const file = new Blob([[names.join(","), ...lines].join("\n") + "\n"], {type: "text/csv"});
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = "trials.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function begin() {
    if (columns) return;
    read();
    show();
    setTimeout(makeSearchable);  // so that the first key is answered at once
  }

  headers.forEach((header, c) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = header.textContent;
    header.replaceChildren(button);
    button.addEventListener("click", () => { begin(); sortBy(c); });
  });
  byId("trial-tools").hidden = false;
  byId("filter").addEventListener("input", () => { begin(); search(); });
  byId("trial-back").addEventListener("click", () => { first -= PER_PAGE; show(); });
  byId("trial-on").addEventListener("click", () => { first += PER_PAGE; show(); });
  byId("trial-csv").addEventListener("click", () => { begin(); download(); });

  const folded = table.closest("details");
  if (folded && !folded.open) folded.addEventListener("toggle", begin, {once: true});
  else begin();
})();
