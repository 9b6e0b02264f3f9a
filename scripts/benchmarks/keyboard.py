"""Use the keyboard alone in a real browser: name people, then answer suggestions.

    .venv/bin/python scripts/benchmarks/keyboard.py FACES.npz PHOTOS [--names 200] [--answers 100]
        [--method auto] [--threshold 0.5] [--photos 10000] [--key-ms 60]

FACES.npz holds `embedding` (n, d) and `name` (n,): who each face really shows; PHOTOS has folders of photos
by name, from which pictures are cut (of others, where somebody has none). A library is filled with them,
grouped by `cluster` and served by the program itself. Chromium opens *Unnamed*, and each group is named as it
is called: letters take a key's time each, thinking none. Then *Review* is answered truthfully: a name, yes,
no, or numbers for those of which the contrary is true. What is refused is skipped. It ends with the time that
this took, how many keys, and how long the page lets one wait for the next field or question.
"""

import argparse
import hashlib
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from playwright.sync_api import Page, sync_playwright
from review import fill, group
from serve import serving
from throw_away import throw_away_library

from facesets.operations.options.people import ClusterLibraryOptions
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library

if TYPE_CHECKING:
    from facesets.records import Float32

State: TypeAlias = dict[str, Any]
PATIENCE_S = 30
UNREAD_S = 0.4
"""A new question accepts no key for this long."""
_FACES = """(at) => [...at.querySelectorAll("img")]
    .map((each) => Number(/faces[/]([0-9]+)[/]crop/.exec(each.src)[1]))"""
_AT_GROUP = """() => {
    const at = document.activeElement, group = at.closest(".group");
    return group && {
        id: group.dataset.cluster, isAsked: Boolean(at.closest(".asking")),
        waiting: document.querySelectorAll(".asking:not([hidden])").length,
        done: document.querySelectorAll(".group.done").length,
        trouble: [...document.querySelectorAll(".group .error:not([hidden])")].map((each) => each.innerText),
        faces: (%s)(group.querySelector(".group-faces")),
    };
}"""
_ASKED = """() => {
    const faces = %s, find = (each) => document.querySelector(each);
    return {
        isThere: !find("#question").hidden, kind: find("#question").dataset.kind,
        asked: find("#asked").textContent,
        trouble: find("#trouble").hidden ? "" : find("#trouble").textContent,
        isTaken: !find("#taken").hidden, progress: find("#progress").textContent,
        resting: find("#resting").hidden ? "" : find("#resting-text").textContent,
        hasName: !find("#naming").hidden && document.activeElement === find("#name"),
        isNameless: !find("[data-does=who]").hidden,
        left: faces(find("#left")), right: faces(find("#right")),
        choices: [...document.querySelectorAll(".choice")].map(faces),
    };
}"""
_STATE_OF_GROUP, _STATE_OF_QUESTION = _AT_GROUP % _FACES, _ASKED % _FACES


@dataclass
class Typist:
    """A user at a keyboard who knows every person."""

    page: Page
    names: list[str]
    key_ms: float
    keys: int = 0
    waits: list[float] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def press(self, key: str) -> None:
        """Press one key."""
        self.page.keyboard.press(key)
        self.page.wait_for_timeout(self.key_ms)
        self.keys += 1

    def type(self, text: str) -> None:
        """Type letters."""
        self.page.keyboard.type(text, delay=self.key_ms)
        self.keys += len(text)

    def name_of(self, faces: Sequence[int]) -> str:
        """Return the person on most of these faces."""
        return Counter(self.names[face - 1] for face in faces).most_common(1)[0][0]

    def wait(self, state: str, until: Callable[[State], bool]) -> State:
        """Return the page's state once it is as expected, and record how long that took."""
        began = time.monotonic()
        while True:
            found: State | None = self.page.evaluate(state)
            took = time.monotonic() - began
            if found is not None and until(found):
                self.waits.append(took)
                return found
            if took > PATIENCE_S:
                raise TimeoutError(f"nothing comes after {found}; {self.seen}")
            self.page.wait_for_timeout(5)


def name_groups(typist: Typist, count: int) -> None:
    """Name groups up to a number; questions are answered as they come."""
    at = typist.wait(_STATE_OF_GROUP, lambda at: not at["isAsked"])
    while at["done"] < count:
        if at["waiting"]:
            at = answer_waiting(typist, at)
            continue
        before = at["id"]
        typist.type(typist.name_of(at["faces"]))
        typist.press("Enter")
        at = typist.wait(_STATE_OF_GROUP, partial(is_elsewhere, before))
        typist.seen.update(at["trouble"])


def is_elsewhere(before: str, at: State) -> bool:
    """Whether another group or a question has the focus."""
    return bool(at["id"] != before or at["isAsked"])


def answer_waiting(typist: Typist, at: State) -> State:
    """Answer the waiting suggestion with yes; its person is done then."""
    waiting = at["waiting"]
    while not at["isAsked"]:
        before = at["id"]
        typist.press("ArrowUp")
        at = typist.wait(_STATE_OF_GROUP, partial(is_elsewhere, before))
    time.sleep(UNREAD_S)
    typist.press("y")
    typist.seen["name-taken"] += 1
    return typist.wait(_STATE_OF_GROUP, lambda at: at["waiting"] < waiting and not at["isAsked"])


def answered(state: State) -> int:
    """Return how many questions the page counts as answered."""
    found = re.match("[0-9]+", state["progress"])
    return int(found.group()) if found else 0


def answer_questions(typist: Typist, count: int) -> None:
    """Answer questions up to a number, or until none is left."""
    state = typist.wait(_STATE_OF_QUESTION, lambda state: state["isThere"])
    while answered(state) < count and state["isThere"]:
        before = state
        typist.seen[state["kind"]] += 1
        if state["trouble"]:
            typist.seen[f"refused: {state['trouble']}"] += 1
            if state["hasName"]:
                typist.press("Escape")
            typist.press("s")
        elif state["isTaken"]:
            time.sleep(UNREAD_S)
            typist.press("y")
        elif state["kind"] == "name":
            typist.type(typist.name_of(state["left"]))
            typist.press("Enter")
        else:
            decide(typist, state)
        state = typist.wait(_STATE_OF_QUESTION, partial(is_next, before))


def is_next(before: State, state: State) -> bool:
    """Whether the page asks something else than before, and is ready for the answer, or has nothing left."""
    if not state["isThere"]:
        return f"{state['resting']}".startswith("No ")
    if state["kind"] == "name" and not state["isTaken"] and not state["hasName"]:
        return False
    keep = ("asked", "left", "right", "choices", "trouble", "isTaken")
    return any(state[each] != before[each] for each in keep)


def decide(typist: Typist, state: State) -> None:
    """Answer by yes or no, and by the numbers of exceptions."""
    person = typist.name_of(state["left"])
    is_split = "two people" in state["asked"]
    shown = state["choices"] or [state["right"]]
    yes = [(typist.name_of(faces) == person) != is_split if faces else False for faces in shown]
    verdict = sum(yes) * 2 >= len(yes)
    for number, each in enumerate(yes, start=1):
        if each != verdict:
            typist.press(str(number))
    typist.press("y" if verdict else "n")


def add_photos(database: Database, folder: Path, photos: Path, names: Sequence[str], total: int) -> None:
    """Add a photo of each face, and photos without any."""
    theirs = {each.name: cycle(sorted(each.glob("*.jpg"))) for each in sorted(photos.iterdir())}
    any_photo = cycle(sorted(photos.glob("*/*.jpg")))
    rows = []
    for number, name in enumerate(names, start=1):
        content = next(theirs.get(name.replace(" ", "_"), any_photo)).read_bytes() + b"%d" % number
        path = folder / f"{number}.jpg"
        path.write_bytes(content)
        rows.append((number, str(path), hashlib.sha256(content).hexdigest()))

    def work(connection: Connection) -> None:
        with connection.cursor() as cursor:
            cursor.executemany(
                """WITH image AS (UPDATE images SET sha256 = %(sha256)s, width = 250, height = 250
                        WHERE id = %(id)s)
                    INSERT INTO image_paths (path, size, mtime_ns, sha256, image_id)
                    VALUES (%(path)s, 1, 1, %(sha256)s, %(id)s)""",
                [{"id": number, "path": path, "sha256": sha256} for number, path, sha256 in rows],
            )
        connection.execute("UPDATE face_detections SET x1 = 80, y1 = 70, x2 = 170, y2 = 185")
        connection.execute(
            """WITH made AS (INSERT INTO images (sha256, width, height, fingerprint)
                    SELECT encode(sha256(('none' || i)::bytea), 'hex'), 100, 100, ''
                    FROM generate_series(1, %s) i RETURNING id)
                INSERT INTO face_scans (image_id, detector_id) SELECT id, 1 FROM made""",
            (max(0, total - len(names)),),
        )

    database.run(work)
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))


def measured(what: str, typist: Typist, count: int, work: Callable[[Typist, int], None]) -> None:
    """Do it, and print its duration."""
    began = time.monotonic()
    work(typist, count)
    took = time.monotonic() - began
    median, most = np.percentile(typist.waits, [50, 95]) * 1000
    print(
        f"{what}: {took:.0f} s, {typist.keys} keys; waited {median:.0f} ms for the next, 19 of 20 times "
        f"{most:.0f} ms at most, {1000 * max(typist.waits):.0f} ms once; {dict(typist.seen)}",
        flush=True,
    )


def browse(address: str, chromium: str, names: list[str], given: argparse.Namespace) -> None:
    """Do both in a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.on("pageerror", lambda error: print(f"the page fails: {error}"))
        for what, count, path, work in (
            ("names", given.names, "/unknown", name_groups),
            ("answers", given.answers, "/review", answer_questions),
        ):
            page.goto(address + path)
            measured(f"{count} {what}", Typist(page, names, given.key_ms), count, work)
        browser.close()


def main() -> None:
    """Fill a library, group it, name and answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("faces", type=Path)
    parser.add_argument("photos_of", type=Path)
    parser.add_argument("--names", type=int, default=200)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--method", default="auto")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--key-ms", type=float, default=60)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    with np.load(given.faces) as file:
        rows: Float32 = file["embedding"].astype(np.float32)
        names = [str(name).replace("_", " ") for name in file["name"]]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as home, throw_away_library() as database:
        fill(database, rows)
        add_photos(database, Path(home), given.photos_of, names, given.photos)
        group(Library(database), ClusterLibraryOptions(given.method, given.threshold), given.method)
        with serving(database.run(lambda each: each.info.dsn), Path(home)) as (address, _):
            browse(address, given.chromium, names, given)


if __name__ == "__main__":
    main()
