// A grid of faces as a list box: select by click, Shift, drag and keyboard.

const DRAG_PX = 6;

/**
 * Make the faces in `root` selectable. `changed(count)` is called when the selection changes, `open(option)` on Enter
 * or a double click. Returns the actions on the selection.
 */
export function selectable(root, { changed, open }) {
  const chosen = new Set();
  let anchor = null;

  const options = () => [...root.querySelectorAll("[role=option]")];
  const current = () => root.querySelector("[role=option][tabindex='0']");
  const idOf = (option) => Number(option.dataset.face);

  function upgrade() {
    root.setAttribute("role", "listbox");
    root.setAttribute("aria-multiselectable", "true");
    root.setAttribute("aria-label", root.dataset.label);
    for (const group of root.querySelectorAll(".faces-group:not([role])")) {
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", group.dataset.title);
      group.querySelectorAll("h2, ul").forEach((each) => each.setAttribute("role", "presentation"));
    }
    for (const item of root.querySelectorAll("li[data-face]:not([role])")) {
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(chosen.has(idOf(item))));
      item.tabIndex = -1;
      const link = item.querySelector("a");
      item.dataset.href = link.getAttribute("href");
      const picture = link.firstElementChild;
      picture.draggable = false;
      link.replaceWith(picture);
    }
    if (!current() && root.querySelector("[role=option]")) root.querySelector("[role=option]").tabIndex = 0;
  }

  function set(option, on) {
    option.setAttribute("aria-selected", String(on));
    if (on) chosen.add(idOf(option));
    else chosen.delete(idOf(option));
  }

  function tell() {
    changed(chosen.size);
  }

  function move(option, { focus = true } = {}) {
    current()?.setAttribute("tabindex", "-1");
    option.tabIndex = 0;
    if (!focus) return;
    option.focus({ preventScroll: true });
    option.scrollIntoView({ block: "nearest" });
  }

  function range(from, to) {
    const every = options();
    const [a, b] = [every.indexOf(from), every.indexOf(to)].sort((x, y) => x - y);
    every.slice(Math.max(0, a), b + 1).forEach((option) => set(option, true));
  }

  function toggle(option, { extend = false } = {}) {
    if (extend && anchor?.isConnected) range(anchor, option);
    else {
      set(option, !chosen.has(idOf(option)));
      anchor = option;
    }
    tell();
  }

  root.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option || band.dragged) return;
    move(option);
    toggle(option, { extend: event.shiftKey });
  });
  root.addEventListener("dblclick", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) open(option);
  });

  function beside(option, key) {
    const every = options();
    const at = every.indexOf(option);
    if (key === "ArrowRight") return every[at + 1];
    if (key === "ArrowLeft") return every[at - 1];
    if (key === "Home") return every[0];
    if (key === "End") return every.at(-1);
    const here = option.getBoundingClientRect();
    const down = key === "ArrowDown";
    let best = null;
    let least = Infinity;
    for (const other of down ? every.slice(at + 1) : every.slice(0, Math.max(0, at)).reverse()) {
      const there = other.getBoundingClientRect();
      const rows = down ? there.top - here.top : here.top - there.top;
      if (rows < 4) continue;
      if (rows > least + 4) break;
      const off = Math.abs(there.left - here.left);
      if (!best || off < best.off) best = { option: other, off };
      least = Math.min(least, rows);
    }
    return best?.option;
  }

  root.addEventListener("keydown", (event) => {
    const option = event.target.closest("[role=option]");
    if (!option) return;
    const { key } = event;
    if ((event.ctrlKey || event.metaKey) && key === "a") select.all();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (key === " ") toggle(option, { extend: event.shiftKey });
    else if (key === "Enter") open(option);
    else if (["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown", "Home", "End"].includes(key)) {
      const next = beside(option, key);
      if (next) {
        move(next);
        if (event.shiftKey) {
          if (!anchor?.isConnected) anchor = option;
          range(anchor, next);
          tell();
        }
      }
    } else return;
    event.preventDefault();
  });

  const band = rubberBand(root, {
    begin: () => new Set(chosen),
    sweep: (before, hits) => {
      for (const option of options()) set(option, before.has(idOf(option)) || hits(option));
      tell();
    },
  });

  const select = {
    ids: () => options().map(idOf).filter((id) => chosen.has(id)),
    upgrade,
    first: () => options().find((option) => chosen.has(idOf(option))) ?? current(),
    focus: () => current()?.focus(),
    all: () => {
      options().forEach((option) => set(option, true));
      tell();
    },
    none: () => {
      options().forEach((option) => set(option, false));
      chosen.clear();
      tell();
    },
    /** Take faces out of the grid; the focus goes to the next one that stays. */
    remove: (ids) => {
      const gone = new Set(ids);
      const every = options();
      const had = root.contains(document.activeElement);
      const place = every.findIndex((option) => gone.has(idOf(option)));
      for (const option of every.filter((each) => gone.has(idOf(each)))) {
        chosen.delete(idOf(option));
        const group = option.closest(".faces-group");
        option.remove();
        if (!group.querySelector("[role=option]")) group.remove();
      }
      const left = options();
      const next = left[Math.min(Math.max(0, place), left.length - 1)];
      if (next) move(next, { focus: had });
      tell();
    },
    /** Let `fill` replace all faces: what is still there stays selected, and the keyboard where it was. */
    replace: (fill) => {
      const was = current();
      const place = options().indexOf(was);
      const had = root.contains(document.activeElement);
      root.replaceChildren();
      fill();
      const every = options();
      const there = new Set(every.map(idOf));
      for (const id of chosen) if (!there.has(id)) chosen.delete(id);
      const next = every.find((option) => was && idOf(option) === idOf(was)) ?? every[Math.min(place, every.length - 1)];
      if (next) move(next, { focus: had });
      tell();
    },
  };
  upgrade();
  return select;
}

/** Select by drawing a rectangle with the mouse; touch scrolls. */
function rubberBand(root, { begin, sweep }) {
  const state = { dragged: false };
  root.addEventListener("pointerdown", (event) => {
    state.dragged = false;
    if (event.pointerType === "touch" || event.button !== 0) return;
    const start = { x: event.pageX, y: event.pageY };
    const before = begin();
    let box = null;

    function draw(moved) {
      const [left, top] = [Math.min(start.x, moved.pageX), Math.min(start.y, moved.pageY)];
      const [right, bottom] = [Math.max(start.x, moved.pageX), Math.max(start.y, moved.pageY)];
      if (!box && Math.max(right - left, bottom - top) < DRAG_PX) return;
      if (!box) {
        box = document.body.appendChild(Object.assign(document.createElement("div"), { className: "rubber" }));
        state.dragged = true;
      }
      moved.preventDefault();
      Object.assign(box.style, {
        left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px`,
      });
      const [x, y] = [window.scrollX, window.scrollY];
      sweep(before, (option) => {
        const rect = option.getBoundingClientRect();
        return rect.left + x < right && rect.right + x > left && rect.top + y < bottom && rect.bottom + y > top;
      });
    }

    function end() {
      box?.remove();
      document.removeEventListener("pointermove", draw);
      document.removeEventListener("pointerup", end);
      document.removeEventListener("pointercancel", end);
    }
    document.addEventListener("pointermove", draw);
    document.addEventListener("pointerup", end);
    document.addEventListener("pointercancel", end);
  });
  return state;
}
