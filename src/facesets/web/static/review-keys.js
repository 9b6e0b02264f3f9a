// Keys and buttons of the review page, inside and outside the field.

import { onKeys } from "./app.js";
import { completeNames } from "./complete.js";
import { isTooMany } from "./typing.js";

/** The button last pressed by keyboard, if it is no longer visible. */
let left = null;

/**
 * After a click, give the focus back to the page. After a key, keep the focus, or move it to the first visible button
 * unless a field has it.
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

/** If the focused button is gone, move the focus to the suggestion that is shown. */
export function refocus() {
  if (!left || ![left, document.body].includes(document.activeElement)) return;
  const buttons = [left, ...document.querySelectorAll("#buttons button, #resting .row > *")];
  const there = buttons.find((each) => each.checkVisibility());
  if (!there) return;
  there.focus();
  left = null;
}

/** Connect keys and buttons to the actions in `does`, and the field to `keepName`. */
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
      // The second click of a double click comes before the next suggestion is read.
      if (event.detail > 1 && !["skip", "undo"].includes(what)) return;
      does[what]();
      stay(button, event.detail > 0);
    });
    // Held down, Enter would answer every following suggestion.
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
    y: ["Yes, all", does.yes],
    n: ["No, none", does.no],
    s: ["Skip", does.skip],
    u: ["Undo the last answer; again for earlier ones", does.undo],
    h: ["Hide the unnamed person", does.hide],
    w: ["Name the unnamed person", does.who],
    ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => [number, ["", () => toggle(number)]])),
    "1–9": ["Exclude this item", null],
    "Enter": ["Save the name; skip without one", null],
    "Esc": ["Leave the field, to use s, u and h", null],
  });
}
