
"use strict";
// Sort a table by a click on a column's head: numbers by their value, words by the alphabet, dashes last.
for (const table of document.querySelectorAll(".table table")) {
  const body = table.tBodies[0];
  if (body.rows.length < 3) continue;
  const original = Array.from(body.rows);
  for (const head of table.tHead.rows[0].querySelectorAll("th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    const place = head.cellIndex;
    button.addEventListener("click", () => {
      const before = head.getAttribute("aria-sort");
      const next = before === "none" ? "ascending" : before === "ascending" ? "descending" : "none";
      for (const other of table.tHead.rows[0].querySelectorAll("th")) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", next);
      const rows = original.slice();
      if (next !== "none") {
        const turn = next === "ascending" ? 1 : -1;
        const word = (row) => row.cells[place].textContent.trim();
        const number = (row) => Number.parseFloat(row.cells[place].dataset.value);
        const numeric = rows.some((row) => !Number.isNaN(number(row)));
        // In a column of numbers a word ("hidden", a dash) is a number that is not printed: it has no place among them.
        const empty = (row) => (numeric ? Number.isNaN(number(row)) : word(row) === "–" || word(row) === "");
        rows.sort((a, b) => {
          if (empty(a) !== empty(b)) return empty(a) ? 1 : -1;
          if (numeric) return turn * (number(a) - number(b));
          return turn * word(a).localeCompare(word(b), undefined, { numeric: true });
        });
      }
      body.append(...rows);
      shorten(table.closest(".table"));
    });
  }
}
// A long table shows its first rows until it is opened; without this script, and on paper, all are there.
function shorten(place) {
  const first = Number(place.dataset.first || 0);
  const short = first > 0 && !place.hasAttribute("data-open");
  Array.from(place.querySelector("tbody").rows).forEach((row, at) => { row.hidden = short && at >= first; });
}
for (const place of document.querySelectorAll(".table[data-first]")) {
  const count = place.querySelector("tbody").rows.length;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "take more";
  const say = () => {
    const open = place.hasAttribute("data-open");
    button.textContent = open ? "Show fewer rows" : `Show all ${count} rows`;
    button.setAttribute("aria-expanded", String(open));
    shorten(place);
  };
  button.addEventListener("click", () => { place.toggleAttribute("data-open"); say(); });
  place.querySelector(".under").prepend(button);
  say();
}
// A drawing as a file of its own; the same files lie in the folder beside this page.
for (const drawing of document.querySelectorAll("figure.drawing")) {
  const svg = drawing.querySelector("svg");
  const name = drawing.id || "figure";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "take";
  button.textContent = "SVG";
  button.setAttribute("aria-label", "Figure as SVG: " + drawing.querySelector("figcaption").textContent);
  button.addEventListener("click", () => {
    const text = svg.outerHTML.replace(/var\(--[a-z]+, (#[0-9a-f]{6})\)/g, "$1");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    link.download = name + ".svg";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  drawing.append(button);
}
// The menu follows the reader.
const links = new Map();
for (const link of document.querySelectorAll("nav a")) links.set(link.hash.slice(1), link);
const seen = new Set();
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) entry.isIntersecting ? seen.add(entry.target.id) : seen.delete(entry.target.id);
  let current = null;
  for (const [anchor, link] of links) {
    link.removeAttribute("aria-current");
    if (current === null && seen.has(anchor)) current = link;
  }
  if (current !== null) current.setAttribute("aria-current", "true");
}, { rootMargin: "-10% 0px -70% 0px" });
for (const anchor of links.keys()) observer.observe(document.getElementById(anchor));
// What is folded on the screen is open on paper.
let folded = [];
addEventListener("beforeprint", () => {
  folded = Array.from(document.querySelectorAll("details:not([open])"));
  for (const each of folded) each.open = true;
});
addEventListener("afterprint", () => { for (const each of folded) each.open = false; });
