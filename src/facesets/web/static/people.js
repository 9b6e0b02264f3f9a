// The grid of people: search while typing, load more while scrolling.

import { complain, onKeys } from "./app.js";
import { undoByKey } from "./changes.js";
import { fetched, follow } from "./more.js";

const WAIT_MS = 90;
const list = document.getElementById("people");
const field = document.getElementById("find");
const form = field.form;
const watch = follow(list, (part) => list.append(part));
let timer = 0;
let asked = 0;
let shown = query();

function query() {
  const wanted = new URLSearchParams();
  if (field.value.trim()) wanted.set("find", field.value.trim());
  if (form.elements.status.checked) wanted.set("status", "hidden");
  return wanted.toString();
}

async function show() {
  clearTimeout(timer);
  const number = ++asked;
  const wanted = query();
  try {
    const part = await fetched(`/people/list?${wanted}`);
    if (number !== asked) return;
    list.replaceChildren(part);
    shown = wanted;
    document.getElementById("people-count").textContent = list.querySelector("[data-count]").textContent.trim();
    history.replaceState(null, "", wanted ? `/people?${wanted}` : "/people");
    watch();
  } catch (problem) {
    complain(problem);
  }
}

field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(show, WAIT_MS);
});
form.elements.status.addEventListener("change", show);
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (query() !== shown) await show();
  list.querySelector("a.card")?.focus();
});
field.addEventListener("keydown", (event) => {
  if (event.key !== "ArrowDown") return;
  event.preventDefault();
  list.querySelector("a.card")?.focus();
});

function step(by) {
  const cards = [...list.querySelectorAll("a.card")];
  const at = cards.indexOf(document.activeElement);
  cards[at < 0 ? 0 : Math.max(0, Math.min(cards.length - 1, at + by))]?.focus();
}

function columns() {
  const cards = [...list.querySelectorAll("a.card")];
  const top = cards[0]?.getBoundingClientRect().top;
  return cards.findIndex((card) => card.getBoundingClientRect().top > top + 4) >>> 0 || cards.length;
}

onKeys({
  "/": ["Find by name", () => { field.focus(); field.select(); }],
  ArrowRight: ["Next person", () => step(1)],
  ArrowLeft: ["Previous person", () => step(-1)],
  ArrowDown: ["Row below", () => step(Math.min(columns(), 1000))],
  ArrowUp: ["Row above", () => step(-Math.min(columns(), 1000))],
});
undoByKey();
