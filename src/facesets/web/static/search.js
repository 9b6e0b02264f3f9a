// The search form: names complete, and removing a condition searches again.

import { onKeys } from "./app.js";
import { completeNames } from "./complete.js";

const form = document.getElementById("search-form");

/** Leave empty fields out of the address. */
function submit() {
  for (const input of form.querySelectorAll("input:not([type=checkbox])")) input.disabled = !input.value.trim();
  form.submit();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
// A page that comes back from the browser's memory still has its empty fields disabled.
addEventListener("pageshow", () => {
  for (const input of form.querySelectorAll("input")) input.disabled = false;
});
for (const choice of form.querySelectorAll(".chip-choice input")) {
  choice.addEventListener("change", submit);
  // It was changed before this script loaded.
  if (!choice.checked) submit();
}

const person = document.getElementById("person");
completeNames(person, (name, chosen) => {
  if (chosen) person.value = chosen.id;
  submit();
});

onKeys({ "/": ["Search by text", () => document.getElementById("words").focus()] });
