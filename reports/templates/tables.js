"use strict";

// Every table of the page as CSV, beside that of trials, which has a button of its own.
(() => {
  // A cell that begins like a formula gets an apostrophe, so that no spreadsheet runs it; a signed
  // number, alone or before its interval, is left.
  function cell(element) {
    const text = element.textContent.replace(/\s+/g, " ").trim();
    const safe = /^[=+\-@]/.test(text) && !/^[+-][\d.]/.test(text) ? "'" + text : text;
    return /[",]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
  }

  const csvOf = table =>
    [...table.rows].map(row => [...row.cells].map(cell).join(",")).join("\r\n") + "\r\n";

  document.querySelectorAll(".scroll > table:not(.trials)").forEach((table, k) => {
    const section = table.closest("section[id]")?.id ?? "page";
    const link = document.createElement("a");
    const line = document.createElement("p");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "CSV";
    button.dataset.table = section;
    button.setAttribute("aria-label", `Table ${k + 1} as CSV`);
    button.addEventListener("click", () => {
      link.href = URL.createObjectURL(new Blob([csvOf(table)], {type: "text/csv"}));
      link.download = `${section}-table-${k + 1}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    });
    line.className = "chart-buttons";
    line.append(button);
    table.closest(".scroll").after(line);
  });
})();
