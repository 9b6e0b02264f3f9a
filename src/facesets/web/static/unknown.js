// Unnamed people: one field each; Enter saves the name and moves to the next.

import { call, complain, counted, onKeys, say, takeBack, worded } from "./app.js";
import { ask, askWhetherOne } from "./ask.js";
import { completeNames } from "./complete.js";
import { growing } from "./growing.js";
import { isTooMany } from "./typing.js";

const NEAR_END = 8;
const list = document.getElementById("groups");
const total = document.getElementById("total");
const hasKeyboard = matchMedia("(pointer: fine)").matches;
/** Changes of this session, latest last, with their groups. */
const steps = [];
let grow = async () => [];
let outbox = Promise.resolve();

const fieldOf = (group) => group.querySelector(".naming input");
const open = () => [...list.querySelectorAll(".group:not(.done, .busy)")];

function count(change) {
  total.dataset.total = Number(total.dataset.total) + change;
  const left = Number(total.dataset.total);
  total.textContent = counted(left, "unnamed person", "unnamed people");
}

const isAsking = (group) => group.querySelector(".asking:not([hidden])") !== null;

/**
 * Move to the field after a group's, or before it; by an arrow key also to a question. Enter skips questions while
 * there is a field, so that typing names one after the other doesn't answer any.
 */
async function goOn(group, { by = 1, isArrow = false } = {}) {
  const groups = [...list.querySelectorAll(".group")];
  const place = groups.indexOf(group);
  const rest = by > 0 ? groups.slice(place + 1) : groups.slice(0, place).reverse();
  let following = rest.find((each) => (isArrow || !isAsking(each)) && !each.matches(".done, .busy"));
  if (by > 0 && rest.length < NEAR_END) {
    const more = grow();
    if (!following) [following] = await more;
  }
  following ??= by > 0 ? groups.find(isAsking) : undefined;
  if (!following) return;
  (following.querySelector(".asking:not([hidden]) [data-safe]") ?? fieldOf(following)).focus({ preventScroll: true });
  following.scrollIntoView({ block: "nearest" });
}

function seenAs(group) {
  return { version: Number(group.dataset.version) };
}

function address(group, what) {
  return `/clusters/${encodeURIComponent(group.dataset.cluster)}${what}`;
}

/** Queue a correction of a group: it is sent after earlier ones, if it still holds then. */
function tell(group, what, body, done, holds = () => true) {
  // A second click comes before the first is answered.
  if (group.matches(".busy, .done")) return;
  group.classList.add("busy");
  group.classList.remove("unkept");
  trouble(group, "");
  outbox = outbox.then(() => (holds() ? send(group, what, body, done) : undefined));
}

/** Send a correction, and show its result. */
async function send(group, what, body, done) {
  try {
    const answer = await call("POST", address(group, what), { ...body, ...seenAs(group) });
    finish(group, done(answer), answer.step);
  } catch (problem) {
    group.classList.remove("busy");
    if (problem.kind === "name-taken") {
      const question = (place, options) => askWhetherOne(place, problem, body.name, options);
      askOfName(group, body.name, question, { into: true });
    }
    else if (problem.kind === "changed") await lookAgain(group, problem);
    else {
      const isName = what === "/label";
      group.classList.toggle("unkept", isName);
      trouble(group, isName ? `${problem.message} The name is still in the field. To save it, press Enter there.` : problem.message);
    }
  }
}

// Warn users who leave before all names are saved.
window.addEventListener("beforeunload", (event) => {
  if (document.querySelector(".group.busy, .group.unkept")) event.preventDefault();
});

/** Another user changed the group: show it as it is now. */
async function lookAgain(group, problem) {
  const now = await call("GET", address(group, "?limit=5")).catch(() => null);
  if (now && !now.personName && now.faces.length) {
    group.dataset.version = now.version;
    pictures(group.querySelector(".group-faces"), now.faces, 320);
    trouble(group, problem.message);
    return;
  }
  finish(group, "Changed elsewhere", null);
}

/** Name a group, unless the name matches a person who was not offered in time. */
function nameGroup(group, name, isMeant, unseen) {
  const before = outbox;
  let isNew = true;
  if (unseen) {
    outbox = before.then(() => unseen).then((like) => {
      if (!like) return;
      isNew = false;
      group.classList.remove("busy");
      const question = (place, options) => ask(place, `${like.name} already exists. Create a new person named ${name}?`, { yes: `Create “${name}”`, no: "Use another name", ...options });
      askOfName(group, name, question, {});
    });
  }
  tell(group, "/label", isMeant ? { name, into: true } : { name }, named, () => isNew);
}

/** Ask about a name inside the group; yes saves it. */
async function askOfName(group, name, question, more) {
  if (await question(group.querySelector(".asking"), { reach: "Press ↑ or ↓ to get here" })) {
    tell(group, "/label", { name, ...more }, named);
    goOn(group);
  } else {
    fieldOf(group).focus();
    fieldOf(group).select();
  }
}

const named = (answer) => answer.personName;

function finish(group, words, step) {
  group.classList.remove("busy");
  group.classList.add("done");
  group.dataset.step = step ?? "";
  const line = document.createElement("p");
  line.className = "did row spread";
  line.append(Object.assign(document.createElement("strong"), { textContent: words }));
  if (step) {
    steps.push({ step, group });
    const button = Object.assign(document.createElement("button"), { type: "button", className: "small", textContent: "Undo" });
    button.setAttribute("aria-label", `Undo: ${words}`);
    button.addEventListener("click", () => undo(step));
    line.append(button);
  }
  group.append(line);
  count(-1);
}

/** Undo a change, by default the latest, after earlier ones are saved. */
function undo(step) {
  outbox = outbox.then(() => undoStep(step));
}

async function undoStep(step) {
  const place = step ? steps.findIndex((each) => each.step === step) : steps.length - 1;
  if (place < 0) {
    // The second press of an Undo button does nothing.
    if (!step) say("There is no change to undo.");
    return;
  }
  const [{ step: number, group }] = steps.splice(place, 1);
  if (!(await takeBack(number, () => {}))) {
    steps.splice(place, 0, { step: number, group });
    return;
  }
  group.classList.remove("done");
  group.querySelector(".did")?.remove();
  fieldOf(group).focus();
  fieldOf(group).select();
  const now = await call("GET", address(group, "?limit=1")).catch(() => null);
  if (now) group.dataset.version = now.version;
  count(1);
}

function trouble(group, text) {
  const place = group.querySelector(".error");
  place.replaceChildren(...worded(text));
  place.hidden = !text;
}

function hide(group) {
  tell(group, "/hide", {}, () => "Hidden");
  goOn(group);
}

function pictures(place, faces, first) {
  place.replaceChildren(...faces.map((face, number) => {
    const size = number ? 160 : first;
    const image = Object.assign(document.createElement("img"), { className: "crop", width: size, height: size, loading: "lazy" });
    image.alt = `Face ${number + 1}`;
    image.src = `/api/v1/faces/faces/${face.id}/crop?size=${size}&v=${face.assetId.slice(0, 16)}`;
    return image;
  }));
}

async function showAll(group) {
  try {
    const all = await call("GET", address(group, "?limit=500"));
    document.getElementById("all-title").textContent = all.faces.length < Number(group.dataset.faces)
      ? `Best ${all.faces.length} of ${group.dataset.faces} faces` : `All ${all.faces.length} faces`;
    pictures(document.getElementById("all-grid"), all.faces, 160);
    const dialog = document.getElementById("all-faces");
    dialog.showModal();
    dialog.scrollTop = 0;
  } catch (problem) {
    complain(problem);
  }
}

function prepare(group) {
  const field = fieldOf(group);
  field.addEventListener("keydown", (event) => {
    const isFree = field.value === "" && field.getAttribute("aria-expanded") !== "true";
    if (!isFree || event.isComposing || event.altKey || event.metaKey) return;
    if (event.ctrlKey && event.key === "z") undo();
    else if (event.ctrlKey) return;
    else if (["Enter", "Delete"].includes(event.key)) {
      if (isTooMany(event)) event.preventDefault();
      else if (event.key === "Enter") goOn(group);
      else hide(group);
    } else if (event.key === "ArrowDown") goOn(group, { isArrow: true });
    else if (event.key === "ArrowUp") goOn(group, { by: -1, isArrow: true });
    else if (event.key === "Escape") field.blur();
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  });
  group.querySelector(".asking").addEventListener("keydown", (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by) return;
    event.preventDefault();
    goOn(group, { by, isArrow: true });
  });
  completeNames(field, (name, _person, { isMeant, unseen }) => {
    nameGroup(group, name, isMeant, unseen);
    goOn(group);
  }, { fresh: () => "Create", goesOn: true });
  group.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  group.querySelector("[data-does=hide]").addEventListener("click", () => hide(group));
  group.querySelector("[data-does=all]").addEventListener("click", () => showAll(group));
}

if (list) {
  grow = growing(list, prepare);
  list.querySelectorAll(".group").forEach(prepare);
  onKeys({
    u: ["Undo the last change; again for earlier ones (Ctrl+Z in an empty field)", () => undo()],
    n: ["Name the first unnamed person", () => { const [group] = open(); if (group) fieldOf(group).focus(); }],
    "Enter": ["Save the name and move to the next person; without a name only move", null],
    "↑ ↓": ["In an empty field: move to another person or question", null],
    "Del": ["In an empty field: hide the person", null],
  });
  const [group] = open();
  if (group && hasKeyboard) fieldOf(group).focus({ preventScroll: true });
}
