// One person: their faces, their names, and similar people.

import { call, complain, counted, onKeys, say } from "./app.js";
import { report, reportLater, undoByKey } from "./changes.js";
import { askName, askText, askWhetherOne, askYes } from "./dialogs.js";
import { fetched, follow } from "./more.js";
import { selectable } from "./select.js";

const root = document.getElementById("person");
const faces = document.getElementById("faces");
const menu = root.querySelector("details.menu");
const path = `/persons/${root.dataset.id}`;
const called = () => root.dataset.name || "this person";
const faceCount = (count) => counted(count, "face");

const holder = faces.parentElement.insertBefore(document.createElement("div"), faces.nextSibling);
const select = selectable(faces, { changed: showSelection, open: (option) => location.assign(option.dataset.href) });
takeMore(faces);
const watch = follow(holder, append);

/** Move the link to more faces behind the list box, which holds only faces. */
function takeMore(part) {
  holder.replaceChildren(...part.querySelectorAll(".more"));
}

function append(part) {
  const [first] = part.querySelectorAll(".faces-group");
  const last = faces.querySelector(".faces-group:last-of-type");
  if (first && last && first.dataset.title === last.dataset.title) {
    last.querySelector("ul").append(...first.querySelectorAll("li"));
    first.remove();
  }
  takeMore(part);
  faces.append(...part.querySelectorAll(".faces-group"));
  select.upgrade();
}

function showSelection(count) {
  // The pressed button disappears with the selection, so move the focus to the faces.
  const isLeft = count === 0 && document.getElementById("face-actions").contains(document.activeElement);
  document.getElementById("selected").textContent = count ? `${count} selected` : "Select faces to correct them";
  document.getElementById("face-actions").hidden = count === 0;
  document.querySelector("[data-do=best]").disabled = count !== 1;
  if (isLeft) select.focus();
}

/** Number of reloads requested, and the latest one answered: earlier answers are out of date. */
let asked = 0;
let answered = 0;

/** Reload the page's content and keep the selection. */
async function refresh() {
  const shown = faces.querySelectorAll("[role=option]").length;
  const number = ++asked;
  try {
    const person = await call("GET", path);
    if (number !== asked) return;
    if (person.id !== root.dataset.id) return location.assign(`/people/${person.id}`);
    root.dataset.version = person.version;
    showHead(person);
    const parts = [await fetched(`/people/${root.dataset.id}/faces?sort=${root.dataset.sort}`)];
    let count = parts[0].querySelectorAll("[data-face]").length;
    for (let more = parts[0].querySelector("[data-more]"); more && count < shown; more = parts.at(-1).querySelector("[data-more]")) {
      parts.push(await fetched(more.dataset.more));
      count += parts.at(-1).querySelectorAll("[data-face]").length;
    }
    if (number !== asked) return;
    select.replace(() => parts.forEach(append));
    watch();
    loadAbout();
  } catch (problem) {
    complain(problem);
  } finally {
    answered = Math.max(answered, number);
  }
}

function showHead(person) {
  Object.assign(root.dataset, { name: person.name ?? "", status: person.status });
  const heading = root.querySelector("h1");
  heading.textContent = person.name ?? "Unnamed person";
  heading.classList.toggle("muted", !person.name);
  document.title = `${heading.textContent} · facesets`;
  const hidden = person.status === "hidden";
  const { firstYear: first, lastYear: last } = person;
  const years = !first ? "" : first === last ? `, ${first}` : `, ${first} to ${last}`;
  document.getElementById("person-counts").textContent =
    `${faceCount(person.faceCount)} on ${counted(person.photoCount, "photo")}${years}${hidden ? " · hidden" : ""}`;
  root.querySelector("[data-do=rename]").textContent = person.name ? "Rename…" : "Name…";
  root.querySelector("[data-do=hide]").hidden = hidden;
  root.querySelector("[data-do=unhide]").hidden = !hidden;
  document.getElementById("no-faces").hidden = person.faceCount > 0;
}

/** Show why a change was refused; after a conflict offer to reload, which keeps the selection. */
function refused(problem) {
  if (problem.kind === "changed") say(problem.message, { isError: true, act: ["Reload", refresh] });
  else complain(problem);
}

let changing = Promise.resolve();

/**
 * Change the person in the version shown, after pending changes. Returns undefined if that was refused, and null if
 * the user wants another name.
 */
function change(body) {
  const answer = changing.then(() => send(body));
  changing = answer.catch(() => {});
  return answer;
}

async function send(body) {
  try {
    const answer = await call("POST", path, { ...body, version: Number(root.dataset.version) });
    root.dataset.version = answer.version;
    // Pending answers may predate the change; a forgotten person can't be loaded again.
    if (answered < asked && body.action !== "forget") refresh();
    return answer;
  } catch (problem) {
    if (problem.kind !== "name-taken" || !["rename", "name"].includes(body.action)) return refused(problem);
    const areOne = await askWhetherOne(problem, body.name);
    return areOne ? send({ action: "name", name: body.name, into: true }) : areOne === false ? null : undefined;
  }
}

async function afterwards(answer, words) {
  if (!answer) return;
  if (answer.personId && answer.personId !== root.dataset.id && words === "merged") {
    reportLater(`Merged into ${answer.personName ?? "the other person"}`, answer.step);
    return location.assign(`/people/${answer.personId}`);
  }
  report(words === "merged" ? answer.did : words, answer.step, refresh);
  showHead(await call("GET", path));
}

let isGiving = false;

/** Move the selected faces once: they stay selected until that is answered. */
async function give(body, words) {
  const ids = select.ids();
  if (!ids.length) return say("Select faces first.");
  if (isGiving) return;
  isGiving = true;
  const answer = await change({ ...body, faceIds: ids }).finally(() => { isGiving = false; });
  if (!answer) return;
  select.remove(ids);
  report(words(answer), answer.step, refresh);
  try {
    showHead(await call("GET", path));
  } catch (problem) {
    complain(problem);
  }
  if (answer.facesMoved !== ids.length) refresh();
}

async function moveTo() {
  const count = select.ids().length;
  if (!count) return say("Select faces first.");
  const chosen = await askName({
    title: `Move ${faceCount(count)} to…`, hint: "Choose a person or type a new name.", button: "Move",
  });
  if (!chosen) return;
  const to = chosen.person ? { toPersonId: chosen.person.id } : { name: chosen.name, into: true };
  await give({ action: "move", ...to }, (answer) => `Moved ${faceCount(answer.facesMoved)} to ${answer.personName ?? chosen.name}`);
  select.focus();
}

async function best() {
  const [face] = select.ids();
  if (!face) return say("Select a face first.");
  const answer = await change({ action: "bestFace", faceId: face });
  if (!answer) return;
  select.none();
  const shown = faces.querySelector(`[data-face="${face}"] img`);
  const portrait = root.querySelector(".portrait img");
  if (portrait && shown) portrait.src = shown.src;
  report(`Changed the best face of ${called()}`, answer.step, () => location.reload());
}

async function rename(value = root.dataset.name) {
  const [title, button, makes] = root.dataset.name ? [`Rename ${called()}`, "Rename", "Rename to"] : ["Who is this?", "Name", "Create"];
  const chosen = await askName({ title, button, makes, value, of: root.dataset.id });
  if (!chosen || chosen.name === root.dataset.name) return;
  // An unnamed person loses no name: a person chosen from the list is the same person.
  const answer = await change({ action: "rename", name: chosen.name });
  if (answer === null) return rename(chosen.name);
  await afterwards(answer, answer?.personId === root.dataset.id ? `Renamed to ${answer.personName}` : "merged");
}

async function addName(value = "") {
  const chosen = await askName({ title: `Add a name for ${called()}`, button: "Add", makes: "Add", value, of: root.dataset.id });
  if (!chosen) return;
  const answer = await change({ action: "name", name: chosen.name });
  if (answer === null) return addName(chosen.name);
  await afterwards(answer, answer?.personId === root.dataset.id ? `Added the name ${chosen.name}` : "merged");
}

async function born() {
  try {
    const { birth } = await call("GET", path);
    const text = await askText({
      title: `Date of birth of ${called()}`, label: "Year or date", button: "Save",
      hint: "For example 1985 or 1985-07-04. Leave it empty to estimate it from the faces.",
      pattern: "\\d{4}(-\\d{2}-\\d{2})?", value: birth.said ?? "",
    });
    if (text === null || text === (birth.said ?? "")) return;
    const when = text.includes("-") ? { day: text } : text ? { year: Number(text) } : {};
    const answer = await change({ action: "birth", ...when });
    if (!answer) return;
    report(answer.did, answer.step, refresh);
    loadAbout();
  } catch (problem) {
    complain(problem);
  }
}

async function hide(action) {
  const answer = await change({ action });
  await afterwards(answer, action === "hide" ? `Hid ${called()}` : `Unhid ${called()}`);
}

async function personCalled(name) {
  const found = await call("GET", `/persons?pageSize=20&status=all&find=${encodeURIComponent(name)}`);
  const same = (each) => each.names.some((other) => other.toLowerCase() === name.toLowerCase());
  return found.items.find((each) => each.status !== "merged" && same(each));
}

async function mergeInto() {
  const chosen = await askName({ title: `Merge ${called()} into…`, hint: "All faces move to the person you choose.", button: "Merge", makes: "", of: root.dataset.id });
  if (!chosen) return;
  try {
    const other = chosen.person ?? await personCalled(chosen.name);
    if (!other) return say(`No person is named ${chosen.name}.`, { isError: true });
    await leaveFor(other.id, other.name);
  } catch (problem) {
    refused(problem);
  }
}

/** Merge this person into another and open that person's page. */
async function leaveFor(id, name) {
  const answer = await call("POST", `${path}/merge`, { intoPersonId: id, version: Number(root.dataset.version) });
  reportLater(`Merged into ${name || "the other person"}`, answer.step);
  location.assign(`/people/${answer.targetPersonId}`);
}

async function same(button) {
  const { person: id, name } = button.closest("[data-person]").dataset;
  const title = root.dataset.name || name
    ? `Are ${root.dataset.name || "this person"} and ${name || "the other person"} the same person?` : "Are these the same person?";
  if (!await askYes({ title, button: "Merge" })) return;
  try {
    if (name && !root.dataset.name) return await leaveFor(id, name);
    const answer = await call("POST", `/persons/${id}/merge`, {
      intoPersonId: root.dataset.id, intoVersion: Number(root.dataset.version),
    });
    root.dataset.version = answer.version;
    report(`Merged ${name || "the other person"}: added ${faceCount(answer.facesMoved)}`, answer.step, refresh);
    await refresh();
  } catch (problem) {
    refused(problem);
  }
}

async function forget() {
  const name = root.dataset.name || root.dataset.number;
  const typed = await askYes({
    title: `Forget ${called()}?`,
    hint: "This permanently erases the person's faces, embeddings and names. It leaves caches and exports as they are; `facesets people forget` can erase those, too.",
    typed: name,
    button: "Forget",
    danger: true,
  });
  if (!typed) return;
  const answer = await change({ action: "forget", name: typed === true ? "" : typed });
  if (answer) location.assign("/runs");
}

const deeds = {
  rename: () => rename(),
  name: () => addName(),
  born,
  hide: () => hide("hide"),
  unhide: () => hide("unhide"),
  merge: mergeInto,
  forget,
  same,
  not: () => give({ action: "move" }, (answer) => `Removed ${faceCount(answer.facesMoved)} from ${called()}`),
  move: moveTo,
  split: () => give({ action: "split" }, (answer) => `Split off ${faceCount(answer.facesMoved)} as a new person`),
  best,
  open: () => location.assign(select.first().dataset.href),
  none: () => select.none(),
};
root.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  // The second of a double click means the same.
  if (!button || event.detail > 1) return;
  if (menu.contains(button)) closeMenu();
  deeds[button.dataset.do](button);
});
/** Close the menu. If the focus is in it, move it to the menu's button, where dialogs return to. */
function closeMenu() {
  if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
  menu.open = false;
}
document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
menu.addEventListener("focusout", (event) => {
  if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
});
menu.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !menu.open) return;
  event.preventDefault();
  closeMenu();
});

document.getElementById("sort").addEventListener("change", (event) => {
  root.dataset.sort = event.target.value;
  history.replaceState(null, "", `?sort=${event.target.value}`);
  refresh();
});

const about = document.getElementById("about");
async function loadAbout() {
  try {
    const part = await fetched(about.dataset.from);
    const open = about.querySelector("details")?.open;
    about.replaceChildren(part);
    const facts = about.querySelector("details");
    if (open && facts) facts.open = true;
  } catch (problem) {
    complain(problem);
  }
}
loadAbout();

onKeys({
  "←↑↓→": ["Move between faces; with Shift, also select", null],
  Space: ["Toggle selection", null],
  Enter: ["Open the photo", null],
  ArrowRight: ["", () => select.focus()],
  ArrowDown: ["", () => select.focus()],
  a: ["Select all shown faces", () => select.all()],
  Escape: ["Clear selection", () => select.none()],
  n: ["Not this person", deeds.not],
  m: ["Move to…", moveTo],
  t: ["Split off", deeds.split],
  b: ["Best face", best],
  r: ["Rename", () => rename()],
});
undoByKey(refresh);
