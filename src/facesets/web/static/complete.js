// A field for a name that offers people as one types (ARIA combobox).

import { call } from "./app.js";

const WAIT_MS = 80;

/**
 * Let a field complete names of people. `chosen(name, person)` is called by Enter or a click; `person` is the
 * one that was chosen from the list, else null.
 */
export function completeNames(input, chosen) {
  const list = document.createElement("ul");
  list.id = `${input.id}-names`;
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "People");
  input.after(list);
  for (const [name, value] of [["role", "combobox"], ["aria-expanded", "false"], ["aria-controls", list.id],
    ["aria-autocomplete", "list"], ["autocomplete", "off"]]) input.setAttribute(name, value);
  let people = [];
  let at = -1;
  let timer = 0;
  let asked = 0;

  function close() {
    clearTimeout(timer);
    asked += 1;
    people = [];
    at = -1;
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function mark(place) {
    at = place;
    [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === at)));
    if (at < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", list.children[at].id);
      list.children[at].scrollIntoView({ block: "nearest" });
    }
  }

  function show(found) {
    people = found;
    list.replaceChildren(...found.map((person, place) => {
      const item = document.createElement("li");
      item.id = `${list.id}-${place}`;
      item.setAttribute("role", "option");
      item.append(Object.assign(document.createElement("span"), { textContent: person.name }));
      item.append(Object.assign(document.createElement("span"), { className: "muted", textContent: `${person.faceCount}` }));
      item.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        take(place);
      });
      return item;
    }));
    list.hidden = found.length === 0;
    input.setAttribute("aria-expanded", String(found.length > 0));
    mark(-1);
  }

  function take(place) {
    const person = place >= 0 ? people[place] : null;
    const name = person ? person.name : input.value.trim();
    close();
    if (person) input.value = name;
    if (name) chosen(name, person);
  }

  async function look() {
    const number = ++asked;
    const text = input.value.trim();
    if (!text) return show([]);
    const answer = await call("GET", `/persons?pageSize=8&find=${encodeURIComponent(text)}`).catch(() => ({ items: [] }));
    if (number === asked) show(answer.items);
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    // Whoever types on means what is typed, also before its names are there.
    mark(-1);
    timer = setTimeout(look, WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" && people.length) mark((at + 1) % people.length);
    else if (event.key === "ArrowUp" && people.length) mark(at <= 0 ? people.length - 1 : at - 1);
    else if (event.key === "Tab" && people.length && at < 0) { mark(0); input.value = people[0].name; }
    else if (event.key === "Escape" && people.length) close();
    else if (event.key === "Enter") take(at);
    else return;
    event.preventDefault();
  });
  input.addEventListener("blur", close);
}
