// What was changed in this tab: messages with a way back, also across pages, and the key that undoes the last.

import { answered, onKeys, say, takeBack } from "./app.js";

const STEPS = "facesets-steps";
const SAID = "facesets-said";
const KEPT = 50;

const steps = () => JSON.parse(sessionStorage.getItem(STEPS) ?? "[]");
const keep = (list) => sessionStorage.setItem(STEPS, JSON.stringify(list.slice(-KEPT)));

/** Report what was done by an answer of the API; `undone` is called once it was taken back. */
export function report(text, step, undone) {
  if (step) keep([...steps(), step]);
  say(text, { undo: step, undone: () => forgetStep(step, undone) });
}

/** Report it on the page that is opened next. */
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

/** What is on its way is later than all that is kept. */
async function undoLast(undone) {
  await answered();
  const last = steps().at(-1);
  if (last) await takeBack(last, () => forgetStep(last, undone));
  else say("Nothing was changed in this tab.");
}

/** Let `u` undo the last change of this tab, and report what the page before left to be reported. */
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
