// Pages of a result folder: select faces, move them, name and merge people, undo.

import { call, complain, fetchPage, onKeys, say, takeBack } from "./app.js";
import { both } from "./both.js";
import { fitNames } from "./boxes.js";
import { completeNames } from "./complete.js";

const MESSAGE_KEY = "facesets-done";
const person = document.getElementById("person");
const boxes = [...document.querySelectorAll(".result-face input")];
const byId = (name) => document.getElementById(name);

/** Open a page that reports what was done, with an Undo button. */
function goOn(address, text, step) {
  sessionStorage.setItem(MESSAGE_KEY, JSON.stringify({ text, step }));
  if (address === location.pathname) location.reload();
  else location.assign(address);
}

function addressOf(id) {
  return id ? `/people/${id}` : "/people";
}

const undone = (taken) => goOn(addressOf(taken.personId), `Undid: ${taken.what}`);

const waiting = sessionStorage.getItem(MESSAGE_KEY);
if (waiting) {
  sessionStorage.removeItem(MESSAGE_KEY);
  const { text, step } = JSON.parse(waiting);
  say(text, { undo: step, undone });
}

const undo = byId("undo");
const back = () => undo ? takeBack(Number(undo.dataset.step), undone) : say("There is no change to undo.");
undo?.addEventListener("click", back);
onKeys({ u: ["Undo the last change", back] });

const chosen = () => boxes.filter((box) => box.checked);

/** Correct this person; if the name is taken, ask whether both are one person. */
async function correct(body) {
  const path = `/persons/${person.dataset.person}`;
  const asked = { ...body, version: person.dataset.version };
  try {
    return await call("POST", path, asked);
  } catch (problem) {
    if (problem.kind !== "name-taken" || !(await areOne(problem.question, body.name))) throw problem;
    return call("POST", path, { ...asked, into: true });
  }
}

/** Return the person in the folder with a name. */
async function called(name) {
  const found = await call("GET", `/persons?pageSize=100&find=${encodeURIComponent(name)}`);
  return found.items.find((each) => each.name.toLowerCase() === name.toLowerCase());
}

/** Return the first faces of a person's page. */
function facesIn(page) {
  return [...page.querySelectorAll(".result-face img")].slice(0, 4).map((image) => image.src.split("/").at(-2));
}

/** Ask whether two people with the same name are one person, with faces of both. Enter alone changes nothing. */
async function areOne(question, name) {
  const other = await called(name).catch(() => null);
  const page = other ? await fetchPage(addressOf(other.id)).catch(() => "") : "";
  const theirs = facesIn(new DOMParser().parseFromString(page, "text/html"));
  byId("both").replaceChildren(both({ faces: facesIn(document), otherFaces: theirs }, name));
  const dialog = byId("question");
  byId("question-text").textContent = question;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Make one change at a time, then open the page where its faces are or were. */
let isBusy = false;
async function change(run, stays) {
  if (isBusy) return;
  isBusy = true;
  try {
    const done = await run();
    goOn(stays ? location.pathname : addressOf(done.personId), done.did, done.step);
  } catch (problem) {
    complain(problem);
  } finally {
    isBusy = false;
  }
}

const leavesSome = () => chosen().length < boxes.length || document.querySelector(".result-pager") !== null;

function move(name) {
  const faceIds = chosen().map((box) => box.value);
  if (!faceIds.length) say("Select faces first.");
  else change(() => correct({ action: "move", name, faceIds }), leavesSome());
}

function unassign() {
  const faceIds = chosen().map((box) => box.value);
  if (faceIds.length) change(() => correct({ action: "unassign", faceIds }), leavesSome());
}

async function mergeInto(name) {
  const other = await called(name);
  if (!other) throw new Error(`No person in this folder is named ${name}.`);
  return call("POST", `/persons/${person.dataset.person}/merge`, {
    intoPersonId: other.id, version: person.dataset.version, intoVersion: other.version,
  });
}

/** A form with one field for a name: `run` is called by its button, by Enter, and by a choice from the list. */
function field(form, run, options) {
  if (!byId(form)) return;
  const input = byId(form).querySelector("input");
  const take = completeNames(input, run, { without: () => person.dataset.person, ...options });
  byId(form).addEventListener("submit", (event) => {
    event.preventDefault();
    take();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !event.defaultPrevented) input.blur();
  });
}

/** Show how many faces are selected, and enable the matching actions. */
function count() {
  const number = chosen().length;
  byId("count").textContent = number ? `${number} of ${boxes.length} selected` : "Select faces";
  byId("move").querySelector("button").disabled = number === 0;
  if (byId("not")) byId("not").disabled = number === 0;
}

/** Shift extends the selection from the last face. */
let last = Math.max(0, boxes.findIndex((box) => box.checked));
function choose(box, event) {
  const at = boxes.indexOf(box);
  if (event.shiftKey) {
    for (const each of boxes.slice(Math.min(last, at), Math.max(last, at) + 1)) each.checked = box.checked;
  }
  last = at;
  count();
}

/** The items that arrow keys move between: faces, or people. */
const items = boxes.length ? boxes : [...document.querySelectorAll("a.card")];

/** Move by some items; with Shift, select the faces on the way. */
function step(by, event) {
  const at = items.indexOf(document.activeElement);
  const place = at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + by));
  if (event.shiftKey && boxes.length && person.dataset.sealed === undefined) {
    for (const box of boxes.slice(Math.min(at < 0 ? place : at, place), Math.max(at, place) + 1)) box.checked = true;
    count();
  }
  items[place]?.focus();
}

function perRow() {
  const top = (item) => item.closest("li").offsetTop;
  return items.filter((item) => top(item) === top(items[0])).length;
}

const focusOn = (name) => () => { byId(name)?.focus(); byId(name)?.select(); };

if (person && person.dataset.sealed === undefined) {
  field("rename", (name) => change(() => correct({ action: "rename", name })), { fresh: () => "Rename to" });
  field("merge", (name) => change(() => mergeInto(name)), { fresh: () => "" });
  field("move", move, { fresh: () => "Create" });
  byId("not")?.addEventListener("click", unassign);
  for (const box of boxes) box.addEventListener("click", (event) => choose(box, event));
  count();
  onKeys({
    Space: ["Toggle selection", null],
    p: ["Open the photo", () => document.activeElement.closest(".result-face")?.querySelector("a").click()],
    a: ["Select all", () => { for (const box of boxes) box.checked = true; count(); }],
    Escape: ["Clear selection", () => { for (const box of boxes) box.checked = false; count(); }],
    m: ["Move to…", focusOn("to")],
  });
  if (byId("not")) {
    onKeys({
      n: ["Not this person", unassign],
      r: ["Rename", focusOn("name")],
      g: ["Same person as…", focusOn("same")],
    });
  }
}
if (items.length) {
  onKeys({
    ArrowRight: ["Next; with Shift, also select", (event) => step(1, event)],
    ArrowLeft: ["Previous", (event) => step(-1, event)],
    ArrowDown: ["Row below", (event) => step(perRow(), event)],
    ArrowUp: ["Row above", (event) => step(-perRow(), event)],
  });
}
const picture = document.querySelector(".photo-frame");
if (picture) fitNames(picture);
if (byId("find")) onKeys({ "/": ["Find by name", focusOn("find")] });
