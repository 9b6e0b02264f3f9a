// Changes made in this tab: messages with an Undo button, also across pages, and the key that undoes the last one.

import { answered, onKeys, say, takeBack } from "./app.js";

const STEPS = "facesets-steps";
const SAID = "facesets-said";
const KEPT = 50;

const steps = () => JSON.parse(sessionStorage.getItem(STEPS) ?? "[]");
const keep = (list) => sessionStorage.setItem(STEPS, JSON.stringify(list.slice(-KEPT)));

/** Report a change; `undone` is called after it is undone. */
export function report(text, step, undone) {
  if (step) keep([...steps(), step]);
  say(text, { undo: step, undone: () => forgetStep(step, undone) });
}

/** Report a change on the next page. */
export function reportLater(text, step) {
  if (step) keep([...steps(), step]);
  sessionStorage.setItem(SAID, JSON.stringify({ text, step }));
}

function forgetStep(step, undone) {
  keep(steps().filter((each) => each !== step));
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
  const left = sessionStorage.getItem(SAID);
  if (left === null) return;
  sessionStorage.removeItem(SAID);
  const { text, step } = JSON.parse(left);
  say(text, { undo: step, undone: () => forgetStep(step, undone) });
}
