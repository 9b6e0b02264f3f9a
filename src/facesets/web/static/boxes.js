// Names beside the boxes of faces on a photo.

const NAME_PX = 14;

/** Keep names as large as other words, however large the picture is shown, and inside of it. */
export function fitNames(picture) {
  const { width, height } = picture.viewBox.baseVal;
  new ResizeObserver(() => {
    const size = NAME_PX / Math.min(picture.clientWidth / width, picture.clientHeight / height);
    for (const box of picture.querySelectorAll("[data-box]")) {
      const [rect, text] = [box.querySelector("rect").getBBox(), box.querySelector("text")];
      const [top, bottom] = [rect.y, rect.y + rect.height];
      text.setAttribute("font-size", size);
      text.setAttribute("stroke-width", size / 5);
      text.setAttribute("y", bottom + size * 1.4 < height ? bottom + size * 1.15 : Math.max(top - size * 0.4, size));
      const half = Math.min(text.getComputedTextLength() / 2 + size / 5, width / 2);
      text.setAttribute("x", Math.min(Math.max(rect.x + rect.width / 2, half), width - half));
    }
  }).observe(picture);
}
