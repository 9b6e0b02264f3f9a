// Changes made in this tab: messages with an Undo button, also across pages, and the key that undoes the last one.

import { answered, onKeys, say, takeBack } from "./app.js";

const STEPS_KEY = "facesets-steps";
const MESSAGE_KEY = "facesets-message";
const MAX_STEPS = 50;

const steps = () => JSON.parse(sessionStorage.getItem(STEPS_KEY) ?? "[]");
const store = (list) => sessionStorage.setItem(STEPS_KEY, JSON.stringify(list.slice(-MAX_STEPS)));

/** Report a change; `undone` is called after it is undone. */
export function report(text, step, undone) {
  if (step) store([...steps(), step]);
  say(text, { undo: step, undone: () => forgetStep(step, undone) });
}

/** Report a change on the next page. */
export function reportLater(text, step) {
  if (step) store([...steps(), step]);
  sessionStorage.setItem(MESSAGE_KEY, JSON.stringify({ text, step }));
}

function forgetStep(step, undone) {
  store(steps().filter((each) => each !== step));
  if (undone) undone();
  else location.reload();
}

let undoing = Promise.resolve();

/** Undo the latest change, after pending ones are answered. */
async function undoLast(undone) {
  await answered();
  const last = steps().at(-1);
  if (last) await takeBack(last, () => forgetStep(last, undone));
  else say("There is no change to undo in this tab.");
}

/** Let `u` undo the last change of this tab, and show the report that the previous page left. */
export function undoByKey(undone) {
  onKeys({
    u: ["Undo the last change", () => { undoing = undoing.then(() => undoLast(undone)); }],
  });
  const left = sessionStorage.getItem(MESSAGE_KEY);
  if (left === null) return;
  sessionStorage.removeItem(MESSAGE_KEY);
  const { text, step } = JSON.parse(left);
  say(text, { undo: step, undone: () => forgetStep(step, undone) });
}
