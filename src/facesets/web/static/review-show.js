// How a question looks: on the left whom it is about, on the right what is asked.

const byId = (id) => document.getElementById(id);
const LARGE = 320;
const SMALL = 160;
const seen = new Set();

/** Whom a question is about. */
export function touched(question) {
  return new Set([question.personId, ...question.items.map((item) => item.personId)].filter(Boolean));
}

function address(face, size) {
  return `/api/v1/faces/faces/${face.id}/crop?size=${size}&v=${face.assetId.slice(0, 16)}`;
}

function plural(count, word) {
  return `${count.toLocaleString("en").replaceAll(",", "\u202f")} ${count === 1 ? word : `${word}s`}`;
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

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function picture(face, size, alt) {
  return element("img", { className: "crop", src: address(face, size), width: size, height: size, alt });
}

/** One large face, and smaller ones below it. */
function faces(list, alt, most = 6) {
  if (!list.length) return element("p", { className: "muted", textContent: "No face can be shown." });
  const [first, ...others] = list.slice(0, most);
  const made = element("div", { className: "faces" }, picture(first, LARGE, alt));
  if (others.length) made.append(element("div", { className: "thumbs" }, ...others.map((each) => picture(each, SMALL, ""))));
  return made;
}

function alike(item) {
  const facts = item.settles ? [plural(item.settles, "face")] : [];
  if (item.cosineSimilarity !== null) facts.push(`similarity ${item.cosineSimilarity.toFixed(2)}`);
  return facts.join(" · ");
}

function label(name, facts) {
  const made = element("p", { className: "who" }, element("strong", { textContent: name }));
  if (facts) made.append(" ", element("span", { className: "muted", textContent: facts }));
  return made;
}

/** One of several that are asked about: a button that says the contrary of it. */
function choice(item, isOut, toggle) {
  const isFace = !item.personId && item.faces.length === 1;
  const button = element("button", { type: "button", className: "choice" },
    element("span", { className: "choice-faces" }, ...item.faces.slice(0, 3).map((each, place) => picture(each, place ? SMALL : LARGE, place ? "" : item.name))),
    element("span", { className: "choice-text" }, element("kbd", { textContent: item.number }), " ",
      isOut ? "not this one" : isFace ? item.cosineSimilarity.toFixed(2) : item.name,
      ...(isFace || isOut ? [] : [element("span", { className: "muted", textContent: ` ${alike(item)}` })])));
  button.setAttribute("aria-pressed", String(isOut));
  button.addEventListener("click", () => toggle(item.number));
  return button;
}

/** Show a question; `but` holds the items of which the contrary is said. */
export function show(question, but, toggle) {
  const isName = question.kind === "name";
  const isMany = question.items.length > 1;
  byId("asked").textContent = question.text;
  byId("trouble").textContent = question.trouble ?? "";
  byId("trouble").hidden = !question.trouble;
  byId("question").dataset.kind = isName ? "name" : isMany ? "many" : "two";
  byId("left").replaceChildren(label(question.called, plural(question.faceCount, "face")), faces(question.faces, question.called));
  byId("right").hidden = isName;
  if (isMany) {
    byId("right").replaceChildren(element("div", { className: "choices" }, ...question.items.map((item) => choice(item, but.has(item.number), toggle))));
  } else if (!isName) {
    const [item] = question.items;
    byId("right").replaceChildren(label(item.name, alike(item)), faces(item.faces, item.name));
  }
  buttons(question, but, isMany);
}

function buttons(question, but, isMany) {
  const words = (does, text) => {
    const button = document.querySelector(`#buttons [data-does=${does}]`);
    button.hidden = text === null;
    button.querySelector("span").textContent = text ?? "";
  };
  const out = [...but].sort((a, b) => a - b).join(", ");
  const isName = question.kind === "name";
  words("yes", isName ? null : !isMany ? "Yes" : out ? `Yes, but not ${out}` : "Yes, all");
  words("no", isName ? null : !isMany ? "No" : out ? `No, only ${out}` : "No, none");
  words("who", question.namelessId && !isName ? `Who is ${nameless(question)}?` : null);
  words("hide", question.namelessId ? "Does not matter" : null);
  byId("hint").textContent = isMany
    ? "A number says the contrary of that one, then y or n."
    : isName ? "Enter keeps the name, without one it skips. Esc leaves the field: then h, s and u are keys." : "";
}

function nameless(question) {
  return question.namelessId === question.personId ? question.called : question.items[0].name;
}
