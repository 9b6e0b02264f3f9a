// Keys and buttons of the review page: beside the field, and in it.

import { onKeys } from "./app.js";
import { completeNames } from "./complete.js";
import { isTooMany } from "./typing.js";

/** The button that was pressed by keyboard last, where it is not seen any more. */
let left = null;

/**
 * After an answer by mouse, keys are those of the page. By keyboard the focus stays, or goes to the first button there
 * is, unless a field has it.
 */
function stay(button, isByMouse) {
  const active = document.activeElement;
  left = null;
  if (isByMouse) {
    if (active === button) button.blur();
  } else if ([button, document.body].includes(active)) {
    left = button;
    refocus();
  }
}

/** Where the question that had the focus was gone meanwhile, give it to the one that is shown. */
export function refocus() {
  if (!left || ![left, document.body].includes(document.activeElement)) return;
  const buttons = [left, ...document.querySelectorAll("#buttons button, #resting .row > *")];
  const there = buttons.find((each) => each.checkVisibility());
  if (!there) return;
  there.focus();
  left = null;
}

/** Let keys and buttons do what `does` names, and the field keep names. */
export function listen(field, { does, keepName, toggle, asksName, hasCommands, leaveField }) {
  // Before the list of names hears of it.
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || field.readOnly) return;
    const isOpen = field.getAttribute("aria-expanded") === "true";
    const run = field.value.trim() === "" && event.key === "Enter" ? does.skip
      : field.value === "" && event.key === "Backspace" ? does.undo
        : event.key === "Escape" && !isOpen ? leaveField : null;
    if (!run) return;
    if (!isTooMany(event)) run();
    event.preventDefault();
    event.stopImmediatePropagation();
  });
  const take = completeNames(field, keepName, { fresh: () => "Create" });
  document.getElementById("naming").addEventListener("submit", (event) => {
    event.preventDefault();
    take();
  });
  document.querySelectorAll("[data-does]").forEach((button) => {
    button.addEventListener("click", (event) => {
      const { does: what } = button.dataset;
      // The second of a double click comes before anybody has read the next question.
      if (event.detail > 1 && !["skip", "undo"].includes(what)) return;
      does[what]();
      stay(button, event.detail > 0);
    });
    // Held down, Enter would press the button for each question that comes.
    button.addEventListener("keydown", (event) => { if (event.repeat) event.preventDefault(); });
  });

  // Where a name is asked for, a letter begins it.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (!asksName() || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select") || !/^\p{L}$/u.test(event.key)) return;
    if (hasCommands() && ["s", "u", "h"].includes(event.key)) return;
    field.focus();
    event.stopPropagation();
  }, true);

  onKeys({
    y: ["Yes, of all alike", does.yes],
    n: ["No, of none", does.no],
    s: ["Skip", does.skip],
    u: ["Undo the last answer, and the one before", does.undo],
    h: ["It does not matter who it is", does.hide],
    w: ["Who is the one without a name?", does.who],
    ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => [number, ["", () => toggle(number)]])),
    "1–9": ["All but this one", null],
    "Enter": ["Keep the name; skip without one", null],
    "Esc": ["Leave the field: then s, u and h are keys again", null],
  });
}
