// A question that y or n answers, in its place on the page: nothing covers what it is about.

import { worded } from "./app.js";

/** Ask in a container; resolves to true, to false, or to null when something else takes the container. */
export function ask(container, question, { yes = "Yes", no = "No" } = {}) {
  return new Promise((resolve) => {
    const group = document.createElement("div");
    group.className = "ask row";
    group.setAttribute("role", "group");
    const text = Object.assign(document.createElement("p"), { id: `ask-${++asked}` });
    text.append(...worded(question));
    group.setAttribute("aria-labelledby", text.id);
    const buttons = [[yes, "y", true], [no, "n", false]].map(([words, key, value]) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: `${words} ` });
      button.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      button.setAttribute("aria-describedby", text.id);
      button.addEventListener("click", () => answer(value));
      return button;
    });
    buttons[0].className = "primary";
    group.append(text, ...buttons);
    let isAnswered = false;

    function answer(value) {
      if (isAnswered) return;
      isAnswered = true;
      container.replaceChildren();
      container.hidden = true;
      resolve(value);
    }

    group.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const value = { y: true, n: false, Escape: false }[event.key];
      if (value === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      answer(value);
    });
    container.replaceChildren(group);
    container.hidden = false;
    // Whoever types a name elsewhere is not torn away from it.
    const active = document.activeElement;
    if (!(active instanceof HTMLInputElement && active.value)) buttons[0].focus();
  });
}

let asked = 0;
