"use strict";

// The address

// "#law&d=twonn": where to look, and what was chosen in the switches of the charts.
function inAddress() {
  const [anchor, ...chosen] = decodeURIComponent(location.hash.slice(1)).split("&");
  const pairs = chosen.map(part => part.split("="));
  return {anchor, chosen: new Map(pairs.filter(pair => pair.length === 2))};
}

// One choice holds for every chart that offers it.
function choose(name, value) {
  for (const input of document.querySelectorAll("input[data-switch]"))
    if (input.dataset.switch === name && input.dataset.value === value) input.checked = true;
}

const byDefault = new Map();
for (const input of document.querySelectorAll("input[data-switch]:checked"))
  if (!byDefault.has(input.dataset.switch))
    byDefault.set(input.dataset.switch, input.dataset.value);

function chooseFromAddress() {
  for (const [name, value] of new Map([...byDefault, ...inAddress().chosen])) choose(name, value);
  document.dispatchEvent(new Event("chosen"));
}
if (inAddress().chosen.size) chooseFromAddress();
window.addEventListener("hashchange", () => {
  if (inAddress().chosen.size) chooseFromAddress();
});

document.addEventListener("change", event => {
  const {switch: name, value} = event.target.dataset ?? {};
  if (!name) return;
  choose(name, value);
  document.dispatchEvent(new Event("chosen"));
  const {anchor, chosen} = inAddress();
  chosen.delete(name);
  if (byDefault.get(name) !== value) chosen.set(name, value);
  const parts = [anchor, ...[...chosen].map(pair => pair.join("="))];
  history.replaceState(null, "", "#" + parts.filter((part, k) => part || k === 0).join("&"));
});

// Folds

// A link into a closed fold opens it, as browsers without that habit need.
function openTarget() {
  const target = document.getElementById(inAddress().anchor);
  if (!target) return;
  for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details"))
    fold.open = true;
  target.scrollIntoView();
}
window.addEventListener("hashchange", openTarget);
if (location.hash) openTarget();

const openedToPrint = [];
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not([open])")) {
    fold.open = true;
    openedToPrint.push(fold);
  }
});
window.addEventListener("afterprint", () => {
  for (const fold of openedToPrint.splice(0)) fold.open = false;
});

// Numbers: how each was computed, by pointing or by keyboard. One tab stop for each paragraph
// or table; the arrow keys move between its numbers.

const note = document.createElement("p");
note.className = "explanation";
note.setAttribute("role", "status");
note.hidden = true;
document.body.append(note);

const groupOf = number =>
  number.closest("table") ?? number.closest("p, li, dd, figcaption") ?? number.parentElement;
const groups = new Map();
for (const number of document.querySelectorAll("data[data-key]")) {
  const group = groupOf(number);
  if (!groups.has(group)) groups.set(group, []);
  number.tabIndex = groups.get(group).push(number) === 1 ? 0 : -1;
  number.dataset.how = number.title;
  number.removeAttribute("title");
}

function explain(event) {
  const number = event.target.closest?.("data[data-how]");
  note.hidden = !number;
  if (number) note.textContent = number.textContent + ": " + number.dataset.how;
}
for (const kind of ["focusin", "mouseover"]) document.addEventListener(kind, explain);
document.addEventListener("focusout", () => { note.hidden = true; });

document.addEventListener("keydown", event => {
  if (event.key === "Escape") note.hidden = true;
  const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
  const number = document.activeElement;
  if (!step || !number.matches("data[data-how]")) return;
  const numbers = groups.get(groupOf(number)).filter(n => !n.closest("details:not([open])"));
  const next = numbers[numbers.indexOf(number) + step];
  if (!next) return;
  event.preventDefault();
  number.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
