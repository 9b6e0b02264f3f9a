// An inline question that y or n answers, so that it covers nothing on the page.

import { worded } from "./app.js";
import { both } from "./both.js";
import { goesOn, note } from "./typing.js";

/** Too short to read a question: an earlier key was meant for something else. */
const UNREAD_MS = 350;

/** Ask whether two people with the same name are one person, with faces of both. Enter alone changes nothing. */
export function askWhetherOne(container, problem, name, options = {}) {
  return ask(container, problem.question, { yes: "Merge", no: "Use another name", beside: both(problem, name), ...options });
}

/**
 * Ask in a container; resolves to true or false. False changes nothing and has the focus. If another field has the
 * focus, it keeps it, so typed letters don't answer. `reach` tells how to get here from that field.
 */
export function ask(container, question, { yes, no, reach = "", beside = "" }) {
  return new Promise((resolve) => {
    const group = document.createElement("div");
    group.className = "ask row";
    group.setAttribute("role", "group");
    const text = Object.assign(document.createElement("p"), { id: `ask-${++number}` });
    text.append(...worded(question));
    group.setAttribute("aria-labelledby", text.id);
    const buttons = [[yes, "y", true], [no, "n", false]].map(([words, key, value]) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: `${words} ` });
      button.append(Object.assign(document.createElement("kbd"), { textContent: key }));
      button.setAttribute("aria-describedby", text.id);
      button.addEventListener("click", () => answer(value));
      return button;
    });
    buttons[1].dataset.safe = "";
    group.append(beside, text, ...buttons);
    if (reach) group.append(Object.assign(document.createElement("span"), { className: "hint reach", textContent: reach }));
    let isAnswered = false;

    function answer(value) {
      if (isAnswered) return;
      isAnswered = true;
      container.replaceChildren();
      container.hidden = true;
      resolve(value);
    }

    const active = document.activeElement;
    const isElsewhere = active?.matches("input") && !container.parentElement.contains(active);
    const come = isElsewhere ? -Infinity : performance.now();
    let entered = -Infinity;
    group.addEventListener("focusin", (event) => { if (!group.contains(event.relatedTarget)) entered = event.timeStamp; });
    group.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const presses = ["Enter", " "].includes(event.key);
      const value = { y: true, n: false, Escape: false }[event.key];
      if (!presses && value === undefined && event.key.length > 1) return;
      const isRead = event.timeStamp - (presses ? Math.max(come, entered) : come) >= UNREAD_MS;
      const isMeant = isRead && !event.repeat && !goesOn(event);
      if (!presses && value === undefined) note(event);
      // Keep the page's shortcuts from seeing it.
      event.stopPropagation();
      if (presses && isMeant) return;
      event.preventDefault();
      if (isMeant && value !== undefined) answer(value);
    });
    container.hidden = false;
    container.replaceChildren(group);
    if (!isElsewhere) buttons[1].focus();
  });
}

let number = 0;
