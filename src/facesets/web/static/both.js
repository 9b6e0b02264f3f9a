// Two people side by side, for the question whether they are one person.

const SHOWN = 4;
const SIZE = 160;

/** Some faces with a caption. */
function side(faces, words) {
  const figure = document.createElement("figure");
  const caption = Object.assign(document.createElement("figcaption"), { textContent: words });
  figure.append(...faces.slice(0, SHOWN).map((face) => {
    const address = `/api/v1/faces/faces/${face}/crop?size=${SIZE}`;
    return Object.assign(document.createElement("img"), { className: "crop", src: address, width: SIZE, height: SIZE, alt: "" });
  }), caption);
  return figure;
}

/** Show the person to be named beside the person who has the name, from a `name-taken` answer. */
export function both(problem, name) {
  const pair = Object.assign(document.createElement("div"), { className: "both" });
  pair.append(side(problem.faces, "This person"), side(problem.otherFaces, `Existing ${name}`));
  return pair;
}

export const APART = "If they are different people, add something to the name, such as a surname.";
