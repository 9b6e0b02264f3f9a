// Growing lists: fetch the next page and append its items.

import { complain, fetchPage } from "./app.js";

/** Let the link `#more` append the next page to a list; returns a function that does so and returns the new items. */
export function growing(list, added) {
  let isBusy = false;

  async function grow() {
    const link = document.getElementById("more");
    if (!link || isBusy) return [];
    isBusy = true;
    try {
      const page = new DOMParser().parseFromString(await fetchPage(link.href), "text/html");
      const items = [...page.querySelectorAll(`#${list.id} > li`)].map((item) => document.adoptNode(item));
      list.append(...items);
      items.forEach(added);
      const following = page.getElementById("more");
      if (following) link.href = following.getAttribute("href");
      else link.remove();
      return items;
    } catch (error) {
      complain(error);
      return [];
    } finally {
      isBusy = false;
    }
  }

  document.getElementById("more")?.addEventListener("click", (event) => {
    event.preventDefault();
    grow();
  });
  return grow;
}
