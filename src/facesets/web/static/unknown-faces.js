// Unassigned faces: select some and name them.

import { call, complain, counted, onKeys, say } from "./app.js";
import { askWhetherOne } from "./ask.js";
import { completeNames } from "./complete.js";
import { growing } from "./growing.js";

const list = document.getElementById("faces");
const byId = (id) => document.getElementById(id);
let last = null;
let isSending = false;

const boxes = () => [...list.querySelectorAll("input")];
const selected = () => boxes().filter((box) => box.checked);

function update() {
  const number = selected().length;
  byId("count").textContent = number ? `${number} selected` : "Select faces of one person, then name them.";
  document.querySelectorAll("#naming input, #naming button").forEach((each) => { each.disabled = !number; });
}

function clear() {
  selected().forEach((box) => { box.checked = false; });
  update();
}

function prepare(item) {
  const box = item.querySelector("input");
  box.addEventListener("click", (event) => {
    const all = boxes();
    if (event.shiftKey && last && all.includes(last)) {
      const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
      all.slice(from, to + 1).forEach((each) => { each.checked = box.checked; });
    }
    last = box;
    update();
  });
}

async function keep(name, _person, { isMeant } = {}) {
  // Ignore Enter again before the first is answered.
  if (isSending) return;
  const chosen = selected();
  const body = { name, faceIds: chosen.map((box) => Number(box.value)), unassigned: true };
  try {
    await send(chosen, { ...body, into: Boolean(isMeant) });
  } catch (problem) {
    if (problem.kind !== "name-taken") {
      complain(problem);
      return;
    }
    if (await askWhetherOne(byId("asking"), problem, name)) await send(chosen, { ...body, into: true }).catch(complain);
    else {
      byId("name").focus();
      byId("name").select();
    }
  }
}

async function send(chosen, body) {
  isSending = true;
  const answer = await call("POST", "/persons", body).finally(() => { isSending = false; });
  const items = chosen.map((box) => box.closest("li"));
  items.forEach((item) => { item.hidden = true; item.querySelector("input").checked = false; });
  byId("name").value = "";
  update();
  boxes().find((box) => !box.closest("li").hidden)?.focus();
  say(`Assigned ${counted(items.length, "face")} to ${answer.personName ?? body.name}`, {
    undo: answer.step,
    undone: () => items.forEach((item) => { item.hidden = false; }),
  });
}

/** Move from one face to another by an arrow key. */
function move(event, by) {
  const shown = boxes().filter((box) => !box.closest("li").hidden);
  const place = shown.indexOf(document.activeElement);
  const columns = getComputedStyle(list).gridTemplateColumns.split(" ").length;
  shown[Math.min(shown.length - 1, Math.max(0, place + by(columns)))]?.focus();
}

if (list) {
  growing(list, prepare);
  list.querySelectorAll("li").forEach(prepare);
  const take = completeNames(byId("name"), keep, { fresh: () => "Create" });
  byId("naming").addEventListener("submit", (event) => {
    event.preventDefault();
    if (selected().length) take();
  });
  byId("clear").addEventListener("click", clear);
  onKeys({
    Space: ["Toggle selection", null],
    ArrowRight: ["Next face", (event) => move(event, () => 1)],
    ArrowLeft: ["Previous face", (event) => move(event, () => -1)],
    ArrowDown: ["Face below", (event) => move(event, (columns) => columns)],
    ArrowUp: ["Face above", (event) => move(event, (columns) => -columns)],
    n: ["Name the selected faces", () => byId("name").focus()],
    Escape: ["Clear selection", clear],
  });
  update();
}
