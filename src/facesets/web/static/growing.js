// Lists that go on: the next page is fetched and its items are added to this one's.

import { complain, fetchPage } from "./app.js";

/** Let the link `#more` add what follows to a list; returns a function that does, and tells the new items. */
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
