// Shared by every page: API calls, messages with an Undo button, keyboard shortcuts and their help.

import { goesOn, takesLetters } from "./typing.js";

const BASE = "/api/v1/faces";
const SHOWN_MS = 8000;
const UNAUTHORIZED = 401;
const UNAVAILABLE = 503;

const LOGGED_OUT = "You are no longer logged in. Log in again, then repeat your last action.";

/** An error answer: a sentence, with `kind` and `question` if the user can resolve it. */
export class Problem extends Error {
  constructor(answer, status, method = "GET") {
    super(answer.detail || "The server sent an unexpected answer.");
    this.kind = answer.kind;
    this.question = answer.question;
    this.personId = answer.personId;
    this.faces = answer.faceIds ?? [];
    this.otherFaces = answer.otherFaceIds ?? [];
    this.status = status;
    this.method = method;
  }
}

const changing = new Set();

/** Call the API; `body` is sent as JSON. Throws a `Problem`. */
export function call(method, path, body) {
  const answer = send(method, path, body);
  if (method !== "GET") {
    changing.add(answer);
    const done = () => changing.delete(answer);
    answer.then(done, done);
  }
  return answer;
}

/** Wait until every change that was sent is answered and its handlers ran. */
export async function answered() {
  while (changing.size) await Promise.allSettled(changing);
  await new Promise((resolve) => { setTimeout(resolve); });
}

async function send(method, path, body) {
  // Changes are sent even if the page is left.
  const options = { method, headers: { accept: "application/json" }, keepalive: method !== "GET" };
  if (method !== "GET") options.headers["x-csrf-token"] = document.querySelector("meta[name=csrf-token]").content;
  if (body !== undefined) {
    options.headers["content-type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(BASE + path, options);
  } catch {
    throw new Problem({ detail: "The server doesn't answer. Restart `facesets serve`, then repeat your last action." }, 0, method);
  }
  const content = await answer.json().catch(() => ({}));
  if (answer.status === UNAUTHORIZED) content.detail = LOGGED_OUT;
  if (!answer.ok) throw new Problem(content, answer.status, method);
  isReached(method);
  return content;
}

/** Return a page of this server, or a part of one, as text. Throws a `Problem`, also if the login page comes instead. */
export async function fetchPage(address) {
  const answer = await fetch(address, { headers: { accept: "text/html" } }).catch(() => null);
  if (answer?.redirected && new URL(answer.url).pathname === "/login") throw new Problem({ detail: LOGGED_OUT }, UNAUTHORIZED);
  if (!answer) throw new Problem({ detail: "The list can't be loaded because the server doesn't answer. Restart `facesets serve`." }, 0);
  const text = await answer.text();
  if (!answer.ok) throw new Problem({ detail: sentenceOf(text) || "The list can't be loaded. Reload the page." }, answer.status);
  isReached();
  return text;
}

/** Return the error sentence of a page, with its commands between backticks. */
function sentenceOf(page) {
  const found = new DOMParser().parseFromString(page, "text/html").getElementById("problem");
  found?.querySelectorAll("code").forEach((each) => each.replaceWith(`\`${each.textContent}\``));
  return found?.textContent;
}

/** Remove messages about an unreachable server; those about a failed change only after a change succeeds. */
function isReached(method = "GET") {
  const over = method === "GET" ? "[data-unread]" : "[data-unread], [data-undone]";
  document.querySelector("#messages").querySelectorAll(over).forEach((each) => each.remove());
}

/** A number with its noun, such as 12 000 faces. */
export function counted(count, one, many = `${one}s`) {
  return `${count.toLocaleString("en").replaceAll(",", "\u202f")} ${count === 1 ? one : many}`;
}

/** Return a sentence as nodes, with commands between backticks as code. */
export function worded(text) {
  const parts = text.split("`");
  if (parts.length % 2 === 0) return [text];
  return parts.map((part, place) => (place % 2 ? whole(Object.assign(document.createElement("code"), { textContent: part })) : part));
}

/** Wrap a command only between its words: browsers also break after the hyphens of --flag. */
function whole(code) {
  const words = code.textContent.split(" ").map((word) => Object.assign(document.createElement("span"), { textContent: word }));
  code.replaceChildren(...words.flatMap((word, place) => (place ? [" ", word] : [word])));
  return code;
}

/** Do this for all commands in an element. */
export function keepWhole(root) {
  root.querySelectorAll("code").forEach(whole);
}
keepWhole(document);

/**
 * Show a message. `undo`, the number of a change, adds a button that undoes it and then calls `undone`; `act` adds
 * a button with its own label and action. `until` marks messages that `isReached` removes.
 */
export function say(text, { undo, undone, act, isError = false, until } = {}) {
  const messages = document.getElementById("messages");
  const message = document.createElement("div");
  message.className = isError ? "message error" : "message";
  if (until) message.toggleAttribute(until, true);
  const words = document.createElement("span");
  words.append(...worded(text));
  message.append(words);
  if (undo) {
    message.dataset.step = undo;
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Undo" });
    button.addEventListener("click", async () => {
      message.remove();
      await takeBack(undo, undone);
    });
    message.append(button);
  }
  if (act) {
    const [label, run] = act;
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
    button.addEventListener("click", () => {
      message.remove();
      run();
    });
    message.append(button);
  }
  if (isError) {
    const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
    close.addEventListener("click", () => message.remove());
    message.append(close);
  } else {
    setTimeout(() => message.remove(), SHOWN_MS);
  }
  // The same error again, such as for each answer while nothing answers, is one message.
  if (isError) [...messages.children].find((each) => each.firstChild.textContent === words.textContent)?.remove();
  while (messages.childElementCount >= 3) messages.firstChild.remove();
  messages.append(message);
}

/** Show an error. */
export function complain(problem) {
  const logIn = () => location.assign(`/login?to=${encodeURIComponent(location.pathname + location.search)}`);
  const until = ![0, UNAVAILABLE].includes(problem.status) ? "" : problem.method === "GET" ? "data-unread" : "data-undone";
  say(problem.message, { isError: true, until, act: problem.status === UNAUTHORIZED ? ["Log in", logIn] : undefined });
}

/** Undo a change; return whether that worked. */
export async function takeBack(step, undone) {
  let taken;
  try {
    taken = await call("POST", "/undo", { step });
    // Its message is out of date, and it can't be undone twice.
    document.querySelectorAll(`#messages [data-step="${step}"]`).forEach((each) => each.remove());
    say(`Undid: ${taken.what}`);
  } catch (problem) {
    complain(problem);
    return false;
  }
  if (undone) undone(taken);
  else location.reload();
  return true;
}

const keys = new Map();

/** Register keyboard shortcuts: `{ y: ["Yes", run], … }`. The help lists those with a label; an entry without `run`
 * is only listed, so Enter still presses buttons. Shortcuts are off while the user types or a dialog is open. */
export function onKeys(table) {
  for (const [key, [words, run]] of Object.entries(table)) keys.set(key, { words, run });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (takesLetters(event.target) || document.querySelector("dialog[open]")) return;
  const found = keys.get(event.key);
  if (!found?.run) return;
  event.preventDefault();
  // A key that is held down means what it means once; only arrows go on. Letters of a word mean nothing.
  if ((event.repeat && !event.key.startsWith("Arrow")) || goesOn(event)) return;
  found.run(event);
});

function showHelp() {
  const help = document.getElementById("help");
  const list = help.querySelector("dl");
  list.replaceChildren();
  for (const [key, { words }] of keys) {
    if (!words) continue;
    const term = document.createElement("dt");
    term.append(Object.assign(document.createElement("kbd"), { textContent: NAMES[key] ?? key }));
    list.append(term, Object.assign(document.createElement("dd"), { textContent: words }));
  }
  help.showModal();
  // The focus goes to the button at the end.
  help.scrollTop = 0;
}

const NAMES = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };
onKeys({ "?": ["Show keyboard shortcuts", showHelp] });
document.querySelectorAll(".top nav a").forEach((link, number) => {
  onKeys({ [number + 1]: [link.textContent, () => location.assign(link.href)] });
});
document.getElementById("help-button").addEventListener("click", showHelp);
