// How a question looks: on the left whom it is about, on the right what is asked.

import { counted, worded } from "./app.js";

const byId = (id) => document.getElementById(id);
const LARGE = 320;
const SMALL = 160;
const seen = new Set();

/** Whom a question is about. */
export function touched(question) {
  return new Set([question.personId, ...question.items.map((item) => item.personId)].filter(Boolean));
}

/** What of a question is seen, and an answer is about. */
export function shape(question) {
  const items = question.items.map((item) => [item.number, item.personId, item.faces.map((face) => face.id)]);
  return JSON.stringify([question.personId, question.personName, question.faceCount, items]);
}

function address(face, size) {
  return `/api/v1/faces/faces/${face.id}/crop?size=${size}&v=${face.assetId.slice(0, 16)}`;
}

/** Which pictures a question shows. */
function pictures(question) {
  const sides = question.kind === "name" ? [question.faces] : [question.faces, ...question.items.map((item) => item.faces)];
  const isMany = question.items.length > 1;
  return sides.flatMap((faces, side) => faces.slice(0, isMany && side ? 3 : 6).map((face, place) => address(face, place ? SMALL : LARGE)));
}

/** Fetch the pictures of a question that is shown soon. */
export function preload(question) {
  for (const each of pictures(question)) {
    if (seen.has(each)) continue;
    seen.add(each);
    new Image().src = each;
  }
}

const WITHOUT = "Without a name";

/** What to call somebody: people without a name are called by the beginning of their id elsewhere. */
function calling(name, person) {
  return person && person.startsWith(name) ? WITHOUT : name;
}

/** Whether a window is as narrow as a phone, as in style.css: of many, whom they are about is above them there. */
const isNarrow = matchMedia("(max-width: 40rem)");

/** The question in words that fit to the pictures beside it. */
function words(question) {
  const name = question.personName ?? (isNarrow.matches && question.items.length > 1 ? "the person above" : "the person on the left");
  const number = question.items.length;
  const [item] = question.items;
  const other = item && calling(item.name, item.personId);
  const areNamed = question.personName && other !== WITHOUT;
  return {
    near: number > 1 ? `Are these ${number} faces ${name}?` : `Is this ${name}?`,
    far: number > 1 ? `Are these ${number} faces really ${name}?` : `Is this really ${name}?`,
    age: number > 1 ? `Are these ${number} faces really ${name}? Their guessed ages do not fit.` : `Is this really ${name}? The face ${item?.note}.`,
    import: number > 1 ? `Are these ${number} faces ${name}, as other programs say?` : `Is this ${name}? ${item?.note}.`,
    same: number > 1 ? `Are these ${number} people all ${name}?` : areNamed ? `Are ${name} and ${other} one person?` : "Are these one person?",
    split: `Is ${question.personName ?? "this"} two people? The ${counted(item?.settles ?? 0, "face")} on the right may be somebody else.`,
    cluster: number > 1 ? `Are these ${number} groups ${name}?` : `Is this group ${name}?`,
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
  if (!list.length) return element("p", { className: "muted", textContent: "No face can be shown." });
  const some = list.slice(0, most);
  return element("div", { className: some.length > 1 ? "mosaic" : "mosaic one" }, ...some.map((each, place) => picture(each, place ? SMALL : LARGE, place ? "" : alt)));
}

/** What speaks for it in numbers; what the question says of one face already is not said again. */
function alike(item) {
  const facts = item.settles && !item.note ? [counted(item.settles, "face")] : [];
  if (item.cosineSimilarity !== null) facts.push(`similarity ${item.cosineSimilarity.toFixed(2)}`);
  return facts.join(" · ");
}

function label(name, facts) {
  return element("p", { className: "who" }, ...(name ? [element("strong", { textContent: name }), " "] : []), element("span", { className: "muted", textContent: facts }));
}

/** One of several that are asked about: a button that says the contrary of it. */
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

/** Show a question; `but` holds the items of which the contrary is said. */
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
    byId("right").replaceChildren(label(right, alike(item)), faces(item.faces, right || "What is asked about"));
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
  offer("who", question.namelessId && !isName ? "Who is it?" : null);
  offer("hide", question.namelessId ? "Does not matter" : null);
  byId("hint").textContent = isMany
    ? "A number says the contrary of that one, then answer the others."
    : isName ? "Enter keeps the name, without one it skips. Esc leaves the field: then h, s and u are keys." : "";
}
