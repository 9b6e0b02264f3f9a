// Long lists: fetch the next part when the end comes into view. Without scripts its link is a page.

import { complain, fetchPage, keepWhole } from "./app.js";

/** Return the elements of a part of a page. */
export async function fetched(address) {
  const part = document.createElement("template");
  part.innerHTML = await fetchPage(address);
  keepWhole(part.content);
  return part.content;
}

/** Follow the link `[data-more]` in `root` whenever it comes near; `add` takes the elements of the next part. */
export function follow(root, add) {
  let busy = false;
  async function next(link) {
    if (busy || !link.isConnected) return;
    busy = true;
    link.setAttribute("aria-busy", "true");
    try {
      const part = await fetched(link.dataset.more);
      if (link.isConnected) {
        seen.unobserve(link);
        link.closest(".more").remove();
        add(part);
      }
    } catch (problem) {
      link.removeAttribute("aria-busy");
      complain(problem);
    } finally {
      busy = false;
    }
    watch();
  }
  const seen = new IntersectionObserver(
    (entries) => entries.forEach((entry) => entry.isIntersecting && next(entry.target)),
    { rootMargin: "800px" },
  );
  root.addEventListener("click", (event) => {
    const link = event.target.closest("[data-more]");
    if (!link || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    next(link);
  });
  function watch() {
    seen.disconnect();
    root.querySelectorAll("[data-more]").forEach((link) => seen.observe(link));
  }
  watch();
  return watch;
}
