// A name field that suggests people while typing and offers to create a new person (ARIA combobox).

import { call } from "./app.js";

const WAIT_MS = 80;
const MAX_MS = 500;

const written = (name) => name.normalize("NFC").toLowerCase();
const plain = (name) => name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const namesOf = (person) => person.names ?? [person.name];
const fits = (person, text) => namesOf(person).some((name) => plain(name).includes(plain(text)));
const begins = (person, text) => namesOf(person).some((name) => ` ${plain(name)}`.includes(` ${plain(text)}`));
const isCalled = (person, text) => namesOf(person).some((name) => written(name) === written(text));

/**
 * Complete people's names in a field. Enter takes the marked entry: a person with a matching name, else a new one.
 *
 * `chosen(name, person, how)` is called on Enter or a click; `person` is the one taken from the list, else null.
 * `how.isMeant` is true if they were chosen by arrow key or click, not by Enter alone.
 *
 * `fresh()` returns the label for creating a person with a new name, empty if only existing people are allowed;
 * without it Enter takes the text as typed. `without()` returns a person who is not offered. With `goesOn` Enter
 * doesn't wait for the list; `how.unseen` then resolves to the person who would have been offered.
 *
 * Returns the action of Enter, for a button.
 */
export function completeNames(input, chosen, { fresh, without = () => null, goesOn = false } = {}) {
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
  let isMoved = false;
  let timer = 0;
  let asked = 0;
  /** Whether matches for the current text are still loading. */
  let isPending = false;

  function close() {
    clearTimeout(timer);
    asked += 1;
    people = [];
    isPending = false;
    list.replaceChildren();
    mark(-1);
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
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

  function option(place, words, ...more) {
    const item = document.createElement("li");
    item.id = `${list.id}-${place}`;
    item.setAttribute("role", "option");
    item.append(Object.assign(document.createElement("span"), { textContent: words }), ...more);
    item.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      isMoved = true;
      take(place);
    });
    return item;
  }

  function show(found) {
    const text = input.value.trim();
    people = text ? found.filter((person) => person.id !== without() && fits(person, text)) : [];
    const faces = (person) => Object.assign(document.createElement("span"), { className: "muted", textContent: `${person.faceCount}` });
    const items = people.map((person, place) => option(place, person.name, faces(person)));
    const makes = text && fresh?.() && !people.some((person) => isCalled(person, text));
    if (makes) items.push(option(items.length, `${fresh()} “${text}”`));
    list.replaceChildren(...items);
    list.hidden = items.length === 0;
    input.setAttribute("aria-expanded", String(items.length > 0));
    isMoved = false;
    const same = people.findIndex((person) => isCalled(person, text));
    const like = same < 0 ? people.findIndex((person) => begins(person, text)) : same;
    mark(!fresh ? -1 : like < 0 && makes ? items.length - 1 : like);
  }

  function take(place, unseen = null) {
    const person = people[place] ?? null;
    const name = person && (isMoved || !isCalled(person, input.value.trim())) ? person.name : input.value.trim();
    const isMeant = Boolean(person) && isMoved;
    close();
    if (person) input.value = name;
    if (name) chosen(name, person, { isMeant, unseen });
  }

  const found = (text) => call("GET", `/persons?pageSize=8&find=${encodeURIComponent(text)}`).then((answer) => answer.items, () => []);

  async function look() {
    const number = ++asked;
    const text = input.value.trim();
    const items = text ? await found(text) : [];
    if (number !== asked) return;
    isPending = false;
    show(items);
  }

  async function enter() {
    const text = input.value.trim();
    if (!isPending || people[at] || isMoved || !fresh || !text) return take(at);
    // Don't wait long for a server that doesn't answer.
    const late = new Promise((resolve) => { setTimeout(resolve, MAX_MS, []); });
    const items = Promise.race([found(text), late]);
    const unseen = items.then((some) => {
      const others = some.filter((person) => person.id !== without());
      return others.some((person) => isCalled(person, text)) ? null : others.find((person) => begins(person, text)) ?? null;
    });
    if (goesOn) return take(-1, unseen);
    input.readOnly = true;
    const like = await unseen;
    input.readOnly = false;
    if (input.value.trim() !== text) return undefined;
    if (!like) return take(-1);
    // Don't take a person the user hasn't seen: show the list instead.
    clearTimeout(timer);
    asked += 1;
    isPending = false;
    return show(await items);
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    asked += 1;
    isPending = true;
    // Show entries that still match at once.
    show(people);
    timer = setTimeout(look, people.length ? WAIT_MS : 0);
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const count = list.children.length;
    const go = (place) => {
      mark(place);
      isMoved = true;
    };
    const marked = people[Math.max(0, at)];
    if (event.key === "ArrowDown" && count) go(isMoved ? (at + 1) % count : 0);
    else if (event.key === "ArrowUp" && count) go(isMoved && at > 0 ? at - 1 : count - 1);
    else if (event.key === "Tab" && marked && !isMoved && input.value !== marked.name) {
      input.value = marked.name;
      go(people.indexOf(marked));
    } else if (event.key === "Escape" && count) close();
    else if (event.key === "Enter") enter();
    else return;
    event.preventDefault();
  });
  // Keep the list open until the press ends, so that a button acts like Enter.
  input.addEventListener("blur", () => {
    if (isPressed) document.addEventListener("pointerup", () => setTimeout(close), { once: true });
    else close();
  });
  return enter;
}

let isPressed = false;
for (const [name, now] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]]) {
  document.addEventListener(name, () => { isPressed = now; }, true);
}
