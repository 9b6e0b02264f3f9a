// One suggestion at a time. Answers are sent in order while the next suggestion is already shown.

import { call, complain, counted, say, worded } from "./app.js";
import { ask } from "./ask.js";
import { listen, refocus } from "./review-keys.js";
import { preload, shape, show, touched } from "./review-show.js";

const AHEAD = 8;
const REFRESH_EVERY = 20;
const SKIPPED_SENT = 200;
const byId = (id) => document.getElementById(id);
const field = byId("name");
const hasKeyboard = matchMedia("(pointer: fine)").matches;

let current = null;
let queue = [];
let but = new Set();
let waiting = null;
let isLooking = true;
let isAsking = false;
let isCutOff = false;
/** Why there can be no suggestions. */
let nothing = "";
let commands = false;
const skipped = new Set();
/** Answers of this session, including skips, latest last. */
const given = [];
/** Answers after which the suggestions were not fetched again: their people are not suggested meanwhile. */
const unsettled = new Set();
let outbox = Promise.resolve();
let sinceRefresh = 0;

// Suggestions.

let fetching = null;
let fetchAgain = false;

/** Fetch the next suggestions; once more if that is requested meanwhile. */
function fetchQuestions() {
  if (fetching) {
    fetchAgain = true;
    return fetching;
  }
  fetching = (async () => {
    do {
      fetchAgain = false;
      await fetchOnce();
    } while (fetchAgain);
  })().catch(cutOff).finally(() => { fetching = null; });
  return fetching;
}

/** Show why there are no suggestions, unless one is on screen. */
function cutOff(problem) {
  isCutOff = true;
  complain(problem);
  if (!current) next();
}

async function fetchOnce() {
  const known = [...unsettled].filter((answer) => answer.isSent);
  const without = [...new Set([...[...unsettled].map((answer) => answer.question.id), ...[...skipped].slice(-SKIPPED_SENT)])];
  const query = without.slice(0, SKIPPED_SENT).map((id) => `&skip=${encodeURIComponent(id)}`).join("");
  const answer = await call("GET", `/candidates?limit=${AHEAD}${query}`);
  isCutOff = false;
  known.forEach((each) => unsettled.delete(each));
  const returned = queue.filter((each) => each.trouble || each.isBack);
  const taken = new Set([current, ...returned, ...[...unsettled].map((each) => each.question)].map((each) => each?.id));
  queue = [...returned, ...answer.items.filter((each) => !taken.has(each.id) && !skipped.has(each.id))];
  queue.forEach(preload);
  if (!current) next();
}

/** Show the next suggestion that no pending answer can change. */
function next() {
  const busy = new Set([...unsettled].flatMap((answer) => [...answer.people]));
  const place = queue.findIndex((each) => ![...touched(each)].some((person) => busy.has(person)));
  commands = false;
  isAsking = false;
  but = new Set();
  current = place < 0 ? null : queue.splice(place, 1)[0];
  render();
  if (current?.isOld) renew(current);
  if (isCutOff) return;
  if (!current && unsettled.size) outbox.then(fetchQuestions);
  else if (current && queue.length < AHEAD / 2) fetchQuestions();
}

/** Reload a suggestion that is shown again: an answer must match what the user sees. */
function renew(question) {
  const seen = shape(question);
  outbox = outbox.then(async () => {
    try {
      const now = await call("GET", `/candidates/${encodeURIComponent(question.id)}`);
      question.isOld = false;
      // Answered before that: of what was seen, or not at all.
      if (shape(now) === seen) question.version = now.version;
      else if (current === question && !isAsking) {
        Object.assign(question, now);
        but = new Set();
        show(question, but, toggle);
      }
    } catch (problem) {
      if (problem.status === 404 && current === question && !isAsking) passOver(question);
    }
  });
}

function passOver(question) {
  say(`Skipped because it was answered elsewhere: ${question.text}`);
  if (current === question) next();
}

function render() {
  byId("question").hidden = !current;
  const isDone = !current && !unsettled.size && !isLooking && !isCutOff;
  byId("resting").hidden = Boolean(current);
  byId("skipped-again").hidden = !(skips() || skipped.size) || !isDone;
  document.querySelectorAll("#resting .row > *").forEach((each) => { if (!each.id) each.hidden = !isDone || (each.dataset.does ? !given.length : nothing !== ""); });
  byId("look-again").hidden = Boolean(current) || !isCutOff;
  rest(isDone);
  if (current) {
    show(current, but, toggle);
    field.value = current.typed ?? "";
    byId("taken").replaceChildren();
    byId("taken").hidden = true;
    const isName = current.kind === "name";
    byId("naming").hidden = !isName && !current.typed;
    byId("buttons").hidden = false;
    if (isName && hasKeyboard) field.focus();
    else if (document.activeElement === field || document.activeElement === document.body) document.activeElement.blur();
  }
  refocus();
  progress();
}

/** Show why there is no suggestion. */
function rest(isDone) {
  const unsent = [...unsettled].filter((each) => !each.isSent).length;
  const text = isCutOff ? "Suggestions can't be loaded."
    : isDone ? nothing || (skips() || skipped.size ? "No more suggestions to review." : "No suggestions to review.")
      : unsent ? `Saving ${counted(unsent, "answer")}…` : "Looking for suggestions…";
  byId("resting-text").replaceChildren(...worded(text));
}

function progress() {
  const answers = given.filter((each) => !each.isSkipped);
  const faces = answers.reduce((sum, each) => sum + each.question.settles, 0);
  const parts = [`${answers.length} answered`, `${faces} ${faces === 1 ? "face" : "faces"} settled`];
  if (waiting) {
    const counted = waiting.questions + waiting.unnamed - given.length + waiting.at;
    const open = current || unsettled.size ? Math.max(1, counted) : 0;
    parts.push(`${open} left`);
  }
  if (skips()) parts.push(`${skips()} skipped`);
  byId("progress").textContent = parts.join(" · ");
}

/** Look for suggestions again while answers are sent. */
async function refresh() {
  sinceRefresh = 0;
  try {
    const found = await call("POST", "/candidates/refresh");
    const sent = given.filter((each) => each.isSent);
    waiting = { ...found, at: sent.length, skips: sent.filter((each) => each.isSkipped).length };
    nothing = "";
  } catch (problem) {
    // A library without anything to suggest is not an error.
    if (problem.status === 422) nothing = problem.message;
    else complain(problem);
  }
  isLooking = false;
  await fetchQuestions();
  if (!current) next();
  progress();
}

// Answers.

/** Queue an answer: it is sent after earlier ones, and the next suggestion is shown at once. */
function answer(call_, body) {
  const entry = { question: current, people: touched(current), call: call_, body, isSent: false, step: null };
  given.push(entry);
  unsettled.add(entry);
  outbox = outbox.then(() => send(entry));
  next();
  return outbox;
}

async function send(entry) {
  try {
    entry.step = (await call("POST", `/candidates/${entry.question.id}/${entry.call}`, { ...entry.body, version: entry.question.version })).step;
    if (entry.step === null) skipped.add(entry.question.id);
    sinceRefresh += 1;
    if (sinceRefresh >= REFRESH_EVERY) refresh();
  } catch (problem) {
    comeBack(entry, problem);
  }
  settle(entry);
}

function settle(entry) {
  entry.isSent = true;
  if (!current) rest(false);
  fetchQuestions();
  progress();
}

/** Handle an answer that was not saved; true if its suggestion is shown again at once. */
function comeBack(entry, problem) {
  const place = given.indexOf(entry);
  if (place >= 0) given.splice(place, 1);
  entry.hasFailed = true;
  unsettled.delete(entry);
  if (problem.status === 404) {
    passOver(entry.question);
    return false;
  }
  if (problem.kind === "changed") {
    say(`Changed by another user, so it will be shown again: ${entry.question.text}`);
    return false;
  }
  const name = entry.call === "name" ? entry.body.name : "";
  entry.question.trouble = name ? `${problem.message} The name ${name} is still in the field.` : problem.message;
  entry.question.typed = name;
  entry.question.isOld = true;
  if (current?.id === entry.question.id) show(current, but, toggle);
  else queue.unshift(entry.question);
  complain(problem);
  if (!current) next();
  return true;
}

/** Return how many suggestions were skipped, in this session and before. */
function skips() {
  return given.filter((each) => each.isSkipped).length + (waiting ? waiting.skipped - waiting.skips : 0);
}

function skip() {
  const entry = { question: current, people: new Set(), isSkipped: true, isSent: false };
  skipped.add(current.id);
  given.push(entry);
  outbox = outbox.then(() => sendSkip(entry, "skip"));
  next();
}

/** Save that a suggestion is skipped, or no longer skipped, also for later visits. */
async function sendSkip(entry, what) {
  try {
    await call("POST", `/candidates/${entry.question.id}/${what}`);
    entry.isSent = what === "skip";
  } catch (problem) {
    if (problem.status !== 404) complain(problem);
  }
}

/** Undo the latest answer, and show its suggestion again. */
function undo() {
  const last = given.pop();
  if (!last) return say("There is no answer to undo.");
  if (current) {
    current.isBack = true;
    queue.unshift(current);
  }
  skipped.delete(last.question.id);
  current = last.question;
  current.trouble = "";
  but = new Set();
  const wasInField = document.activeElement === field;
  commands = true;
  render();
  // Outside the field, the next key may undo the previous answer.
  if (!wasInField) field.blur();
  if (last.isSkipped) outbox = outbox.then(() => sendSkip(last, "ask-again"));
  else {
    const place = given.length;
    unsettled.add(last);
    last.isSent = false;
    outbox = outbox.then(() => sendUndo(last, place));
  }
  return undefined;
}

/** Send the undo of an answer; if that fails, the answer stands and can be undone later. */
async function sendUndo(last, place) {
  try {
    if (last.step !== null && !last.hasFailed) {
      say(`Undid: ${(await call("POST", "/undo", { step: last.step })).what}`);
    }
    last.question.isOld = true;
    if (current === last.question) renew(current);
  } catch (problem) {
    complain(problem);
    // An answer that can't be undone must not block the ones before it.
    if (problem.status !== 422) given.splice(place, 0, last);
    if (current === last.question) next();
    else queue = queue.filter((each) => each !== last.question);
  }
  last.isSent = true;
  fetchQuestions();
  progress();
}

function decide(verdict) {
  if (!current || current.kind === "name" || isAsking) return;
  answer(verdict, { but: [...but].sort((a, b) => a - b) });
}

function toggle(number) {
  if (!current || current.items.length < 2 || number > current.items.length || isAsking) return;
  if (!but.delete(number)) but.add(number);
  show(current, but, toggle);
}

const DO = {
  yes: () => decide("accept"),
  no: () => decide("reject"),
  who: () => { if (current?.namelessId && current.kind !== "name") openField(); },
  hide: () => { if (current?.namelessId && !isAsking) answer("hide", {}); },
  skip: () => { if (current && !isAsking) skip(); },
  undo: () => { if (!isAsking) undo(); },
};

// Names.

function openField() {
  byId("naming").hidden = false;
  field.focus();
}

async function keepName(name, person, { isMeant }) {
  if (!current || isAsking) return;
  if (!person && name.length === 1 && name < "\x7f") {
    field.value = "";
    const does = { s: "skip", u: "undo", h: "hide" }[name];
    if (does) DO[does]();
    else say("A name needs at least two letters. Press s to skip, u to undo, h to hide.");
    return;
  }
  if (isMeant) {
    answer("name", { name, into: true });
    return;
  }
  await keepNewName(name);
}

/** Save a name that may be taken: the server's answer tells. */
async function keepNewName(name) {
  const question = current;
  isAsking = true;
  field.readOnly = true;
  await outbox;
  const entry = { question, people: touched(question), call: "name", body: { name }, isSent: true, step: null };
  try {
    entry.step = (await call("POST", `/candidates/${question.id}/name`, { name, version: question.version })).step;
  } catch (problem) {
    field.readOnly = false;
    isAsking = false;
    if (problem.kind === "name-taken") await askWhetherOne(name, problem);
    else if (!comeBack(entry, problem) && current === question) next();
    return;
  }
  field.readOnly = false;
  given.push(entry);
  unsettled.add(entry);
  sinceRefresh += 1;
  if (sinceRefresh >= REFRESH_EVERY) refresh();
  next();
  fetchQuestions();
}

async function askWhetherOne(name, problem) {
  const question = current;
  isAsking = true;
  byId("naming").hidden = true;
  byId("buttons").hidden = true;
  field.blur();
  const facesOf = (person) => call("GET", `/clusters/person_${person}?limit=6`).catch(() => null);
  const [mine, other] = await Promise.all([question.namelessId, problem.personId].map(facesOf));
  if (mine && other) {
    const theirs = { ...question, kind: "same", personId: question.namelessId, personName: null, faces: mine.faces, asks: `Are both ${name}?`, items: [{ number: 1, name, personId: problem.personId, faces: other.faces, settles: 0, cosineSimilarity: null }] };
    show(theirs, new Set(), () => {});
  }
  const areOne = await ask(byId("taken"), problem.question, { yes: "Merge", no: "Use another name" });
  isAsking = false;
  if (areOne) {
    answer("name", { name, into: true });
    return;
  }
  render();
  openField();
  field.value = name;
  field.select();
}

listen(field, {
  does: DO,
  keepName,
  toggle,
  asksName: () => current?.kind === "name" && !isAsking,
  hasCommands: () => commands,
  leaveField: () => {
    commands = true;
    field.blur();
    if (current && current.kind !== "name") byId("naming").hidden = true;
  },
});
byId("look-again").addEventListener("click", () => {
  isCutOff = false;
  render();
  fetchQuestions();
  if (!waiting) refresh();
});
byId("skipped-again").addEventListener("click", async () => {
  await outbox;
  try {
    await call("POST", "/candidates/ask-again");
  } catch (problem) {
    return complain(problem);
  }
  skipped.clear();
  for (const place of [...given.keys()].reverse()) if (given[place].isSkipped) given.splice(place, 1);
  return refresh();
});

// Warn users who leave before all answers are sent.
window.addEventListener("beforeunload", (event) => {
  if ([...unsettled].some((each) => !each.isSent) || field.value.trim()) event.preventDefault();
});

fetchQuestions().then(() => { if (!current) next(); });
refresh();
