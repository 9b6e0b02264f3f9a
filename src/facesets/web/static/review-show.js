// How a suggestion looks: the person on the left, the suggested match on the right.

import { counted, worded } from "./app.js";

const byId = (id) => document.getElementById(id);
const LARGE = 320;
const SMALL = 160;
const seen = new Set();

/** Return the people of a suggestion. */
export function touched(question) {
  return new Set([question.personId, ...question.items.map((item) => item.personId)].filter(Boolean));
}

/** Return the visible part of a suggestion, which an answer refers to. */
export function shape(question) {
  const items = question.items.map((item) => [item.number, item.personId, item.faces.map((face) => face.id)]);
  return JSON.stringify([question.personId, question.personName, question.faceCount, items]);
}

function address(face, size) {
  return `/api/v1/faces/faces/${face.id}/crop?size=${size}&v=${face.assetId.slice(0, 16)}`;
}

/** Return the addresses of a suggestion's crops. */
function pictures(question) {
  const sides = question.kind === "name" ? [question.faces] : [question.faces, ...question.items.map((item) => item.faces)];
  const isMany = question.items.length > 1;
  return sides.flatMap((faces, side) => faces.slice(0, isMany && side ? 3 : 6).map((face, place) => address(face, place ? SMALL : LARGE)));
}

/** Load the crops of a suggestion that is shown soon. */
export function preload(question) {
  for (const each of pictures(question)) {
    if (seen.has(each)) continue;
    seen.add(each);
    new Image().src = each;
  }
}

const WITHOUT = "Unnamed person";

/** Return a person's display name: elsewhere unnamed people have the beginning of their id as name. */
function calling(name, person) {
  return person && person.startsWith(name) ? WITHOUT : name;
}

/** Whether a window is as narrow as a phone, as in style.css: there the person is above the items. */
const isNarrow = matchMedia("(max-width: 40rem)");

/** Return the question that fits the crops beside it. */
function words(question) {
  const name = question.personName ?? (isNarrow.matches && question.items.length > 1 ? "the person above" : "the person on the left");
  const number = question.items.length;
  const [item] = question.items;
  const other = item && calling(item.name, item.personId);
  const areNamed = question.personName && other !== WITHOUT;
  return {
    near: number > 1 ? `Are these ${number} faces ${name}?` : `Is this ${name}?`,
    far: number > 1 ? `Are these ${number} faces really ${name}?` : `Is this really ${name}?`,
    age: number > 1 ? `Are these ${number} faces really ${name}? Their estimated ages do not fit.` : `Is this really ${name}? The face ${item?.note}.`,
    import: number > 1 ? `Are these ${number} faces ${name}, as named by other programs?` : `Is this ${name}? ${item?.note}.`,
    same: number > 1 ? `Are these ${number} people all ${name}?` : areNamed ? `Are ${name} and ${other} the same person?` : "Are these the same person?",
    split: `Is ${question.personName ?? "this"} two people? The ${counted(item?.settles ?? 0, "face")} on the right may be another person.`,
    cluster: number > 1 ? `Are these ${number} clusters ${name}?` : `Is this cluster ${name}?`,
    name: "Who is this?",
  }[question.kind];
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function picture(face, size, alt) {
  return element("img", { className: "crop", src: address(face, size), width: size, height: size, alt });
}

/** One large face, and smaller ones beside it. */
function faces(list, alt, most = 6) {
  if (!list.length) return element("p", { className: "muted", textContent: "No faces to show." });
  const some = list.slice(0, most);
  return element("div", { className: some.length > 1 ? "mosaic" : "mosaic one" }, ...some.map((each, place) => picture(each, place ? SMALL : LARGE, place ? "" : alt)));
}

/** Return the number of faces and the similarity, unless the question already has a note on one face. */
function alike(item) {
  const facts = item.settles && !item.note ? [counted(item.settles, "face")] : [];
  if (item.cosineSimilarity !== null) facts.push(`similarity ${item.cosineSimilarity.toFixed(2)}`);
  return facts.join(" · ");
}

function label(name, facts) {
  return element("p", { className: "who" }, ...(name ? [element("strong", { textContent: name }), " "] : []), element("span", { className: "muted", textContent: facts }));
}

/** One of several items: a button that excludes it from the answer. */
function choice(item, isOut, toggle) {
  const isFace = !item.personId && item.faces.length === 1;
  const button = element("button", { type: "button", className: "choice" },
    element("span", { className: "choice-faces" }, ...item.faces.slice(0, 3).map((each, place) => picture(each, place ? SMALL : LARGE, place ? "" : item.name))),
    element("span", { className: "choice-text" }, element("kbd", { textContent: item.number }), " ",
      isOut ? "not this one" : isFace ? item.note || item.cosineSimilarity.toFixed(2) : calling(item.name, item.personId),
      ...(isFace || isOut ? [] : [element("span", { className: "muted", textContent: ` ${alike(item)}` })])));
  button.setAttribute("aria-pressed", String(isOut));
  button.addEventListener("click", () => toggle(item.number));
  return button;
}

/** Show a suggestion; `but` holds the excluded items. */
export function show(question, but, toggle) {
  const isName = question.kind === "name";
  const isMany = question.items.length > 1;
  byId("asked").textContent = question.asks ?? words(question);
  byId("trouble").replaceChildren(...worded(question.trouble ?? ""));
  byId("trouble").hidden = !question.trouble;
  byId("question").dataset.kind = isName ? "name" : isMany ? "many" : "two";
  const left = question.personName ?? WITHOUT;
  byId("left").replaceChildren(label(isName ? "" : left, counted(question.faceCount, "face")), faces(question.faces, left));
  byId("right").hidden = isName;
  if (isMany) {
    byId("right").replaceChildren(element("div", { className: "choices" }, ...question.items.map((item) => choice(item, but.has(item.number), toggle))));
  } else if (!isName) {
    const [item] = question.items;
    const right = question.kind === "same" ? calling(item.name, item.personId) : item.personId ? item.name : "";
    byId("right").replaceChildren(label(right, alike(item)), faces(item.faces, right || "Suggested match"));
  }
  buttons(question, but, isMany);
}

function buttons(question, but, isMany) {
  const offer = (does, text) => {
    const button = document.querySelector(`#buttons [data-does=${does}]`);
    button.hidden = text === null;
    button.querySelector("span").textContent = text ?? "";
  };
  const out = [...but].sort((a, b) => a - b).join(", ");
  const isName = question.kind === "name";
  offer("yes", isName ? null : !isMany ? "Yes" : out ? `Yes, but not ${out}` : "Yes, all");
  offer("no", isName ? null : !isMany ? "No" : out ? `No, only ${out}` : "No, none");
  offer("who", question.namelessId && !isName ? "Name…" : null);
  offer("hide", question.namelessId ? "Hide" : null);
  byId("hint").textContent = isMany
    ? "Press a number to exclude an item, then y or n."
    : isName ? "Press Enter to save the name, or to skip without one. Press Esc to leave the field and use h, s and u." : "";
}
