// Dialogs for a name, a short text or a confirmation. Each returns a promise.

import { worded } from "./app.js";
import { APART, both } from "./both.js";
import { completeNames } from "./complete.js";

/** Wrap a dialog of the page. Closing it resolves to null, its Cancel button to `cancelled`. */
function asking(id, cancelled = null) {
  const dialog = document.getElementById(id);
  let settle = () => {};
  const answer = (value) => {
    const settled = settle;
    settle = () => {};
    dialog.close();
    settled(value);
  };
  dialog.addEventListener("close", () => answer(null));
  dialog.querySelector("[data-cancel]").addEventListener("click", () => answer(cancelled));
  return {
    dialog,
    answer,
    open: () => new Promise((resolve) => {
      settle = resolve;
      dialog.showModal();
    }),
  };
}

const name = asking("ask-name");
const nameField = document.getElementById("ask-name-field");
let fresh = "";
let without = null;
const takeName = completeNames(nameField, (text, person, { isMeant }) => name.answer({ name: text, person, isMeant }), {
  fresh: () => fresh, without: () => without,
});
name.dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  takeName();
});

/**
 * Ask for a name; resolves to `{name, person, isMeant}`, or null if cancelled. `person` is the one taken from the
 * list; `isMeant` is true if they were chosen by arrow key or click. `makes` labels a new name; `of` is the person to
 * be named, who is not offered.
 */
export function askName({ title, hint = "", button, value = "", makes = "Create", of = null }) {
  fresh = makes;
  without = of;
  document.getElementById("ask-name-title").replaceChildren(...worded(title));
  document.getElementById("ask-name-hint").replaceChildren(...worded(hint));
  name.dialog.querySelector("[type=submit]").textContent = button;
  nameField.value = value;
  const answer = name.open();
  nameField.focus();
  nameField.select();
  return answer;
}

const text = asking("ask-text");
const textField = document.getElementById("ask-text-field");
text.dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  text.answer(textField.value.trim());
});

/** Ask for a short text that may be empty; `pattern` is its format. */
export function askText({ title, hint, label, button, pattern, value = "" }) {
  document.getElementById("ask-text-title").replaceChildren(...worded(title));
  document.getElementById("ask-text-hint").replaceChildren(...worded(hint));
  document.querySelector("label[for=ask-text-field]").textContent = label;
  text.dialog.querySelector("[type=submit]").textContent = button;
  Object.assign(textField, { value, pattern, title: label });
  const answer = text.open();
  textField.focus();
  textField.select();
  return answer;
}

const yes = asking("ask-yes", false);
const yesField = document.getElementById("ask-yes-field");
const yesSubmit = yes.dialog.querySelector("[type=submit]");
yes.dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  yes.answer(yesField.value.trim() || true);
});
const likeTyped = (text) => text.normalize().toLowerCase();
// Report a mismatch beside the field, where the user is typing.
yesSubmit.addEventListener("click", () => {
  const { typed } = yesField.dataset;
  yesField.setCustomValidity(!typed || likeTyped(yesField.value.trim()) === likeTyped(typed) ? "" : `Type ${typed}`);
});

/** Ask whether two people with the same name are one person, with faces of both; false for another name, null to cancel. */
export function askWhetherOne(problem, name) {
  return askYes({
    title: problem.question, hint: APART, button: "Merge", cancel: "Use another name", more: both(problem, name), isSafe: true,
  });
}

/**
 * Ask for confirmation. With `typed`, the user must type that text, which is the answer. With `isSafe` Enter does
 * nothing.
 */
export function askYes({ title, hint = "", button, typed = "", danger = false, cancel = "Cancel", more = "", isSafe = false }) {
  const leave = yes.dialog.querySelector("[data-cancel]");
  leave.textContent = cancel;
  document.getElementById("ask-yes-more").replaceChildren(more);
  document.getElementById("ask-yes-title").replaceChildren(...worded(title));
  document.getElementById("ask-yes-hint").replaceChildren(...worded(hint));
  document.getElementById("ask-yes-typed").hidden = !typed;
  document.querySelector("label[for=ask-yes-field]").textContent = `Type ${typed}`;
  yesSubmit.textContent = button;
  yesSubmit.className = danger ? "danger" : isSafe ? "" : "primary";
  yesField.dataset.typed = typed;
  yesField.setCustomValidity("");
  yesField.value = "";
  yesField.required = Boolean(typed);
  const answer = yes.open();
  (typed ? yesField : isSafe ? leave : yesSubmit).focus();
  return answer;
}
