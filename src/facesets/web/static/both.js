// Two people side by side, for who is asked whether they are one.

const SHOWN = 4;
const SIZE = 160;

/** Some faces and whose they are. */
function side(faces, words) {
  const figure = document.createElement("figure");
  const caption = Object.assign(document.createElement("figcaption"), { textContent: words });
  figure.append(...faces.slice(0, SHOWN).map((face) => {
    const address = `/api/v1/faces/faces/${face}/crop?size=${SIZE}`;
    return Object.assign(document.createElement("img"), { className: "crop", src: address, width: SIZE, height: SIZE, alt: "" });
  }), caption);
  return figure;
}

/** Who was to get a name, and who has it, by the answer that says so. */
export function both(problem, name) {
  const pair = Object.assign(document.createElement("div"), { className: "both" });
  pair.append(side(problem.faces, "This person"), side(problem.otherFaces, `${name} already`));
  return pair;
}

export const APART = "Two people of one name are told apart by an addition, such as a surname.";
