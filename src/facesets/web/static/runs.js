// Start, watch and stop runs. Polls only while something runs and the page is visible.

import { call, complain, fetchPage, onKeys, say } from "./app.js";

const EVERY_MS = 1500;
const QUEUE_EVERY_MS = 3000;
const FIRST_MS = 400;
let timer = 0;
let isStarting = false;

const panels = () => [...document.querySelectorAll("#now [data-job]")];
const isQueued = () => document.querySelector("#queue [data-open]") !== null;

function watch(after = EVERY_MS) {
  clearTimeout(timer);
  const some = panels().length > 0;
  for (const button of document.querySelectorAll("[data-start] button")) button.disabled = some;
  if (document.hidden) return;
  if (some) timer = setTimeout(look, after);
  else if (isQueued()) timer = setTimeout(() => refresh(QUEUE_EVERY_MS), Math.max(after, QUEUE_EVERY_MS));
}

/** Whether polling is pointless, as after the session has ended. */
const isRefusal = (problem) => problem.status >= 400 && problem.status < 500;

async function look() {
  let ended = null;
  for (const panel of panels()) {
    try {
      const job = await call("GET", `/jobs/${panel.dataset.job}`);
      if (job.status === "running") show(panel, job);
      else ended = job;
    } catch (problem) {
      if (problem.status === 404) ended = { title: "The run", status: "unknown", outcome: [], sentence: problem.message };
      else if (isRefusal(problem)) return complain(problem);
    }
  }
  const goesOn = ended || isQueued() ? await refresh(EVERY_MS) : true;
  if (ended) tell(ended);
  if (goesOn) watch();
}

function show(panel, job) {
  const bar = panel.querySelector("progress");
  if (!bar) return;
  const stage = panel.querySelector(".stage");
  const words = job.stage || "Working";
  if (stage.textContent !== words) stage.textContent = words;
  if (job.total) {
    bar.max = job.total;
    bar.value = job.done;
  } else bar.removeAttribute("value");
  panel.querySelector(".pace").textContent = job.pace;
  panel.querySelector(".lines").replaceChildren(
    ...job.lines.slice(-5).map((line) => Object.assign(document.createElement("li"), { textContent: line })),
  );
}

function tell(job) {
  const words = [job.sentence, ...job.outcome].filter(Boolean).join(" ");
  const how = { done: "done", stopped: "stopped", failed: "failed" }[job.status] ?? "ended";
  say(`${job.title}: ${how}. ${words}`, { isError: job.status === "failed" });
}

/**
 * Reload the active and past runs and keep the forms as they are. Returns false if the server refused, so that
 * polling ends.
 */
async function refresh(after = FIRST_MS) {
  let text = "";
  try {
    text = await fetchPage(location.href);
  } catch (problem) {
    if (isRefusal(problem)) {
      complain(problem);
      return false;
    }
  }
  const page = new DOMParser().parseFromString(text, "text/html");
  for (const id of text ? ["now", "queue", "history"] : []) {
    const [old, now] = [document.getElementById(id), page.getElementById(id)];
    // What is as it was keeps the focus.
    if (old.outerHTML !== now.outerHTML) old.replaceWith(now);
  }
  watch(after);
  return true;
}

function asked(form) {
  const body = { queue: true };
  for (const field of form.querySelectorAll("input")) {
    if (field.type === "checkbox") {
      if (field.name === "folderIds") body.folderIds = [...(body.folderIds ?? []), ...(field.checked ? [field.value] : [])];
      else body[field.name] = field.checked;
    } else if (field.value !== "") body[field.name] = field.dataset.kind === "number" ? Number(field.value) : field.value;
  }
  return body;
}

for (const form of document.querySelectorAll("[data-start]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = asked(form);
    if (body.folderIds && body.folderIds.length === 0) return say("Select a folder first.", { isError: true });
    // Pressed twice, it begins once.
    if (isStarting) return undefined;
    isStarting = true;
    try {
      const { jobId } = await call("POST", form.dataset.start, body);
      await refresh();
      // What is over already is not among what is watched.
      if (!panels().some((panel) => panel.dataset.job === jobId)) tell(await call("GET", `/jobs/${jobId}`));
    } catch (problem) {
      return complain(problem);
    } finally {
      isStarting = false;
    }
    document.getElementById("now").scrollIntoView({ block: "nearest" });
  });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest(".stop");
  if (!button) return;
  button.disabled = true;
  try {
    await call("POST", `/jobs/${button.closest("[data-job]").dataset.job}/stop`);
    button.textContent = "Stopping…";
  } catch (problem) {
    button.disabled = false;
    complain(problem);
  }
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) refresh();
  else clearTimeout(timer);
});
onKeys({ r: ["Refresh", () => refresh()] });
watch(FIRST_MS);
