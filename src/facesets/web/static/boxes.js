// Names beside the face boxes in a photo.

const NAME_PX = 14;
const LEAST = 5;

/** Shorten a name with an ellipsis so that it doesn't overlap its neighbours. */
function shorten(text, most) {
  const whole = text.dataset.name ??= text.textContent;
  text.textContent = whole;
  const letters = [...new Intl.Segmenter().segment(whole)].map((each) => each.segment);
  while (letters.length > 1 && text.getComputedTextLength() > most) {
    letters.pop();
    text.textContent = `${letters.join("").trimEnd()}…`;
  }
}

/** Keep names at text size and inside the photo at any zoom. */
export function fitNames(picture) {
  const { width, height } = picture.viewBox.baseVal;
  new ResizeObserver(() => {
    // Not visible, as in a window that closes.
    if (!picture.clientWidth || !picture.clientHeight) return;
    const size = NAME_PX / Math.min(picture.clientWidth / width, picture.clientHeight / height);
    const faces = [...picture.querySelectorAll("[data-box]")].map((box) => {
      const { x, y, width: wide, height: high } = box.querySelector("rect").getBBox();
      return { text: box.querySelector("text"), centre: x + wide / 2, top: y, bottom: y + high };
    });
    for (const { text, centre, top, bottom } of faces) {
      const row = faces.filter((each) => each.text !== text && Math.abs(each.bottom - bottom) < 2 * size);
      const room = Math.min(width, ...row.map((each) => Math.abs(each.centre - centre) - size / 2));
      text.setAttribute("font-size", size);
      text.setAttribute("stroke-width", size / 5);
      shorten(text, Math.max(LEAST * size, room));
      text.setAttribute("y", bottom + size * 1.4 < height ? bottom + size * 1.15 : Math.max(top - size * 0.4, size));
      const half = Math.min(text.getComputedTextLength() / 2 + size / 5, width / 2);
      text.setAttribute("x", Math.min(Math.max(centre, half), width - half));
    }
  }).observe(picture);
}
