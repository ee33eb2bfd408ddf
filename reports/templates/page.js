"use strict";

document.getElementById("filter")?.addEventListener("input", event => {
  const wanted = event.target.value.toLowerCase();
  for (const row of document.querySelectorAll(".trials tbody tr"))
    row.hidden = !row.textContent.toLowerCase().includes(wanted);
});
