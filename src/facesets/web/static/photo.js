// One photo: the people in it, and the previous and next photo.

import { call, complain, onKeys, say, worded } from "./app.js";
import { fitNames } from "./boxes.js";
import { reportLater, undoByKey } from "./changes.js";
import { askName, askWhetherOne } from "./dialogs.js";
import { fetched } from "./more.js";

const page = document.getElementById("photo");
const rows = [...document.querySelectorAll("#photo-faces [data-face]")];
let current = rows.length === 1 ? rows[0] : null;

function mark(row) {
  current = row;
  for (const each of rows) each.classList.toggle("current", each === row);
  for (const box of page.querySelectorAll("[data-box]")) {
    box.classList.toggle("current", box.dataset.box === row?.dataset.face);
  }
}

/** Show why the photo can't be displayed if a placeholder stands in for it. */
async function tellWhy() {
  const address = page.querySelector("image").getAttribute("href");
  const shown = await fetch(address, { cache: "force-cache" }).catch(() => null);
  // The content itself isn't needed.
  shown?.body?.cancel();
  if (!shown?.headers.get("content-type").startsWith("image/svg")) return;
  const why = await fetch(address.replace(/&v=.*/, "")).then((answer) => answer.json()).catch(() => null);
  if (!why?.detail) return;
  const place = Object.assign(document.createElement("p"), { className: "panel error" });
  place.setAttribute("role", "alert");
  place.append(...worded(why.detail));
  page.querySelector(".photo").append(place);
}
tellWhy();

const rowOf = (element) => {
  const box = element.closest("[data-box]");
  return box ? document.getElementById(`face-${box.dataset.box}`) : element.closest("[data-face]");
};
page.addEventListener("focusin", (event) => {
  const row = rowOf(event.target);
  if (row) mark(row);
});
page.addEventListener("pointerover", (event) => {
  const row = rowOf(event.target);
  if (row && !page.contains(document.activeElement)) mark(row);
});

/** Reload the page at the same face. */
function again(row) {
  history.replaceState(null, "", `#face-${row.dataset.face}`);
  location.reload();
}

/** Change the person of a face, or with `path` something else; `ask` asks for another name. */
async function change(row, words, body, { path = `/persons/${row.dataset.person}`, ask } = {}) {
  const version = row.dataset.version && path !== "/persons" ? { version: Number(row.dataset.version) } : {};
  try {
    const answer = await call("POST", path, { ...body, ...version });
    reportLater(words(answer), answer.step);
    again(row);
  } catch (problem) {
    if (problem.kind === "name-taken") {
      const areOne = await askWhetherOne(problem, body.name);
      if (areOne) await change(row, words, { ...body, ...(body.action === "rename" ? { action: "name" } : {}), into: true }, { path });
      else if (areOne === false) await ask(row, body.name);
    } else if (problem.kind === "changed") {
      say(problem.message, { isError: true, act: ["Reload", () => again(row)] });
    } else {
      complain(problem);
    }
  }
}

async function move(row, value = "") {
  const owner = row.dataset.person;
  const chosen = await askName({ title: owner ? "Move this face to…" : "Who is this?", hint: "Choose a person or type a new name.", button: owner ? "Move" : "Name", value, of: owner || null });
  if (!chosen) return undefined;
  const words = (answer) => `Assigned the face to ${answer.personName ?? chosen.name}`;
  const ids = { faceIds: [Number(row.dataset.face)] };
  if (!owner) return change(row, words, { name: chosen.name, ...ids, into: chosen.isMeant, unassigned: true }, { path: "/persons", ask: move });
  const to = chosen.person ? { toPersonId: chosen.person.id } : { name: chosen.name, into: true };
  return change(row, words, { action: "move", ...ids, ...to });
}

async function rename(row, value = row.dataset.name) {
  if (!row.dataset.person) return move(row);
  const [title, button, makes] = row.dataset.name ? [`Rename ${row.dataset.name}`, "Rename", "Rename to"] : ["Who is this?", "Name", "Create"];
  const chosen = await askName({ title, button, makes, value, of: row.dataset.person });
  if (!chosen || chosen.name === row.dataset.name) return undefined;
  return change(row, (answer) => `Renamed to ${answer.personName}`, { action: "rename", name: chosen.name }, { ask: rename });
}

function refuse(row) {
  if (!row.dataset.person) return say("This face is unassigned.");
  const words = () => `Removed the face from ${row.dataset.name || "this person"}`;
  return change(row, words, { action: "move", faceIds: [Number(row.dataset.face)] });
}

function best(row) {
  if (!row.dataset.person) return say("This face is unassigned.");
  const words = () => `Changed the best face of ${row.dataset.name || "this person"}`;
  return change(row, words, { action: "bestFace", faceId: Number(row.dataset.face) });
}

const deeds = { move, rename, not: refuse, best };
page.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  // The second of a double click means the same.
  if (button && event.detail < 2) deeds[button.dataset.do](button.closest("[data-face]"));
});

async function explain(details) {
  const from = details.dataset.from;
  if (!details.open || !from) return;
  delete details.dataset.from;
  try {
    details.querySelector(".why").replaceChildren(await fetched(from));
  } catch (problem) {
    details.dataset.from = from;
    complain(problem);
  }
}
page.addEventListener("toggle", (event) => explain(event.target), true);
// Those that were opened while this script loaded.
page.querySelectorAll("details").forEach(explain);

fitNames(page.querySelector("svg"));

const of = (deed) => () => (current ? deed(current) : say("Select a face first with Tab or the mouse."));
const follow = (rel) => () => document.querySelector(`a[rel=${rel}]`)?.click();
onKeys({
  ArrowLeft: ["Newer photo of the person", follow("prev")],
  ArrowRight: ["Older photo of the person", follow("next")],
  p: ["Back to the person", () => document.getElementById("back")?.click()],
  m: ["Move the face to…", of(move)],
  r: ["Rename the person", of(rename)],
  n: ["Not this person", of(refuse)],
  b: ["Best face", of(best)],
});
undoByKey();

// The face that the link names. If its row is below the photo, keep the photo in view.
const wanted = document.getElementById(location.hash.startsWith("#face-") ? location.hash.slice(1) : `face-${page.dataset.face}`);
wanted?.focus({ preventScroll: true });
if (!location.hash && getComputedStyle(page.querySelector(".photo")).position === "sticky") wanted?.scrollIntoView({ block: "nearest" });
