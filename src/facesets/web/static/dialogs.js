// Dialogs that ask for a name, or whether something is meant. They answer by a promise.

import { completeNames } from "./complete.js";

/** A dialog of the page whose answer is awaited; whoever leaves it answers null. */
function asking(id) {
  const dialog = document.getElementById(id);
  let settle = () => {};
  const answer = (value) => {
    const settled = settle;
    settle = () => {};
    dialog.close();
    settled(value);
  };
  dialog.addEventListener("close", () => answer(null));
  dialog.querySelector("[data-cancel]").addEventListener("click", () => answer(null));
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
completeNames(nameField, (text, person) => name.answer({ name: text, person }));
name.dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = nameField.value.trim();
  if (text) name.answer({ name: text, person: null });
});

/** Ask for a name: `{name, person}`, where `person` is the one chosen from the list; null for none. */
export function askName({ title, hint = "", button, value = "" }) {
  document.getElementById("ask-name-title").textContent = title;
  document.getElementById("ask-name-hint").textContent = hint;
  name.dialog.querySelector("[type=submit]").textContent = button;
  nameField.value = value;
  const answer = name.open();
  nameField.focus();
  nameField.select();
  return answer;
}

const yes = asking("ask-yes");
const yesField = document.getElementById("ask-yes-field");
yes.dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  yes.answer(yesField.value.trim() || true);
});

/** Ask whether something is meant; with `typed`, words of a label, somebody has to type what is returned. */
export function askYes({ title, hint = "", button, typed = "", danger = false }) {
  document.getElementById("ask-yes-title").textContent = title;
  document.getElementById("ask-yes-hint").textContent = hint;
  document.getElementById("ask-yes-typed").hidden = !typed;
  document.querySelector("label[for=ask-yes-field]").textContent = typed;
  const submit = yes.dialog.querySelector("[type=submit]");
  submit.textContent = button;
  submit.className = danger ? "danger" : "primary";
  yesField.value = "";
  yesField.required = Boolean(typed);
  const answer = yes.open();
  (typed ? yesField : submit).focus();
  return answer;
}
