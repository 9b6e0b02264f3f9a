// A question that y or n answers, in its place on the page: nothing covers what it is about.

import { worded } from "./app.js";

const TYPING_MS = 1500;

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

    const active = document.activeElement;
    const field = active instanceof HTMLInputElement ? active : null;
    let typed = -Infinity;
    group.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      // Letters of a name that somebody goes on to type are no answers: they go where they would have gone.
      const isTyping = event.timeStamp - typed < TYPING_MS;
      if (event.key.length === 1 && (isTyping || !"yn ".includes(event.key))) {
        if (field?.isConnected && field.checkVisibility() && !field.value) {
          field.focus();
          // Of the page's keys it is none.
          event.stopPropagation();
          return;
        }
        typed = event.timeStamp;
        event.preventDefault();
        event.stopPropagation();
        return;
      }
      const value = { y: true, n: false, Escape: false }[event.key];
      if (value === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      answer(value);
    });
    container.replaceChildren(group);
    container.hidden = false;
    // Whoever types a name elsewhere is not torn away from it.
    if (!field?.value || container.parentElement.contains(field)) buttons[0].focus();
  });
}

let asked = 0;
