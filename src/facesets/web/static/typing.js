// What the user is in the middle of: keys that continue a word or its deletion mean nothing else, wherever the focus
// goes meanwhile.

const PAUSE_MS = 1500;
const ERASES_MS = 700;
let typed = -Infinity;
let erased = -Infinity;

/** Whether letters go into an element. */
export function takesLetters(target) {
  return target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]") !== null;
}

const isPlain = (event) => !event.ctrlKey && !event.metaKey && !event.altKey;

/** Note a letter as part of a word, even if no field takes it. */
export function note(event) {
  typed = event.timeStamp;
}

/** Whether a key continues the word that was typed just before. */
export function goesOn(event) {
  if (!isPlain(event) || event.key.length !== 1 || event.timeStamp - typed >= PAUSE_MS) return false;
  note(event);
  return true;
}

/** Whether a key in an empty field is one too many of those that emptied it, or is held down. */
export function isTooMany(event) {
  const erases = ["Backspace", "Delete"].includes(event.key);
  if (!event.repeat && !(erases && event.timeStamp - erased < ERASES_MS)) return false;
  if (erases) erased = event.timeStamp;
  return true;
}

document.addEventListener("pointerdown", () => { typed = -Infinity; }, true);
document.addEventListener("keydown", (event) => {
  if (!isPlain(event)) return;
  const isInField = takesLetters(event.target);
  if (["Backspace", "Delete"].includes(event.key)) {
    if (isInField && event.target.value) erased = event.timeStamp;
  } else if (event.key.length > 1) {
    if (event.key !== "Shift") typed = -Infinity;
  } else if (isInField) note(event);
}, true);
