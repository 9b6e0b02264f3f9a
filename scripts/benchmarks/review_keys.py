"""How fast the browser takes answers that are given by keys alone: questions of Review, and names of Unknown.

    .venv/bin/python scripts/benchmarks/review_keys.py [--photos 10000] [--persons 500] [--answers 100]
        [--undo-every 10] [--names 200] [--pause-ms 0]

A library of made-up faces, each on a small photo of its own, is served by the program itself on an embedded
server. Chromium opens Review and answers: a name where one is asked for, else yes and no in turns; every
tenth answer is undone, and given again. In a second library, where nobody has a name, groups are named on
Unknown. No pause is made beyond `--pause-ms`: a person is slower. Times are measured in the page, from the
last key of an answer until the next question (or field) is there, and until all of its pictures are.
"""

import argparse
import hashlib
import io
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import numpy as np
from people import fill, fill_vectors
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from serve import API, all_prototypes, serving
from throw_away import throw_away_library

from facesets.operations.people.review.questions import refresh_questions
from facesets.store.postgres.connection import Connection, Database
from facesets.store.postgres.library import Library

WIDTH, HEIGHT = 640, 480
SYLLABLES = ("ba", "de", "fi", "go", "lu", "ma", "ne", "ri", "so", "ta")
NAMED_OF_TEN = 8
STEP_MS = 60_000

# Resolves to the time from the last key until something holds, and until all pictures of a part are there.
WATCH = """(part) => {
    const holds = () => %s;
    let [pressed, reached] = [performance.now(), null];
    const note = (event) => { pressed = event.timeStamp; };
    addEventListener("keydown", note, true);
    window.reached = new Promise((resolve) => {
        const look = () => {
            if (reached === null && holds()) reached = performance.now();
            const pictures = [...document.querySelectorAll(`${part} img`)];
            const areThere = pictures.every((each) => each.complete || !each.checkVisibility());
            if (reached === null || !areThere) return requestAnimationFrame(look);
            removeEventListener("keydown", note, true);
            resolve([reached - pressed, performance.now() - pressed]);
        };
        look();
    });
}"""
ANSWERED = """document.getElementById("progress").textContent.startsWith("%d answered")
    && !document.getElementById("question").hidden"""

FREE = """document.activeElement.matches(".group:not(.busy, .done) input")
    && !document.activeElement.value"""


def name_of(number: int) -> str:
    """A name of its own for each number."""
    return "".join(SYLLABLES[int(digit)] for digit in f"{number:03d}").capitalize()


def give_photos(database: Database, folder: Path, count: int) -> None:
    """Write a photo for each image, of a few that differ, with a face in its middle."""
    pictures = []
    for seed in range(8):
        small = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(file, "JPEG")
        pictures.append(file.getvalue())
    paths, digests = [], []
    for number in range(1, count + 1):
        # What follows the end of a JPEG is not looked at.
        content = pictures[number % len(pictures)] + number.to_bytes(8, "big")
        path = folder / f"{number}.jpg"
        path.write_bytes(content)
        paths.append(str(path))
        digests.append(hashlib.sha256(content).hexdigest())

    def work(connection: Connection) -> None:
        connection.execute(
            """CREATE TEMPORARY TABLE made AS SELECT * FROM
                unnest(%s::text[], %s::text[]) WITH ORDINALITY AS given (path, sha256, id)""",
            (paths, digests),
        )
        connection.execute(
            "UPDATE images i SET sha256 = m.sha256, width = %s, height = %s FROM made m WHERE m.id = i.id",
            (WIDTH, HEIGHT),
        )
        connection.execute("UPDATE face_detections SET x1 = 200, y1 = 120, x2 = 440, y2 = 360")
        connection.execute(
            """INSERT INTO image_paths (path, size, mtime_ns, sha256, image_id)
                SELECT path, 1, 1, sha256, id FROM made"""
        )

    database.run(work)


def prepare(database: Database, folder: Path, photos: int, persons: int, named_of_ten: int) -> None:
    """A library of people, some of whom have names, with its questions."""
    fill(database, photos, persons, 0)
    fill_vectors(database, persons, photos)
    give_photos(database, folder, photos)
    database.run(
        lambda connection: connection.execute(
            """INSERT INTO person_names (person_id, name) SELECT id, 'person ' || n
                FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM persons) p WHERE n %% 10 < %s""",
            (named_of_ten,),
        )
    )
    all_prototypes(Library(database))
    refresh_questions(Library(database))
    database.run_alone(lambda connection: connection.execute("VACUUM ANALYZE"))


@contextmanager
def served(photos: int, persons: int, named_of_ten: int) -> Iterator[str]:
    """The address of such a library."""
    with tempfile.TemporaryDirectory() as home, throw_away_library() as database:
        folder = Path(home) / "photos"
        folder.mkdir()
        began = time.monotonic()
        prepare(database, folder, photos, persons, named_of_ten)
        print(f"{photos} photos, {persons} people, made in {time.monotonic() - began:.0f} s", flush=True)
        conninfo = database.run(lambda each: each.info.dsn)
        with serving(conninfo, Path(home)) as (address, _):
            yield address


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[tuple[Page, list[str]]]:
    """A page, and what its console calls an error."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_default_timeout(STEP_MS)
    page.goto(address)
    yield page, wrong
    context.close()


def timed(page: Page, holds: str, part: str, press: Callable[[], None]) -> tuple[float, float]:
    """Press keys; milliseconds from the last one until something holds, and until its pictures are there."""
    page.evaluate(WATCH % holds, part)
    press()
    there, seen = page.evaluate("window.reached")
    return there, seen


def report(what: str, took: Sequence[tuple[float, float]]) -> None:
    """Print medians, the times that nineteen of twenty stay below, and the longest."""
    for which, place in (("there", 0), ("its pictures", 1)):
        times = [each[place] for each in took]
        median, most = np.percentile(times, [50, 95])
        print(f"{what + ', ' + which:<34} {median:8.0f} {most:8.0f} {max(times):8.0f}", flush=True)


def answer(page: Page, number: int, kinds: dict[str, int]) -> None:
    """Answer what is asked, and count of which kind that is."""
    kind = str(page.locator("#question").get_attribute("data-kind"))
    if kind == "name":
        page.keyboard.type(name_of(number))
        page.keyboard.press("Enter")
    else:
        page.keyboard.press("yn"[number % 2])
    kinds[kind] = kinds.get(kind, 0) + 1


def undo(page: Page) -> None:
    """Undo by the key that does it here."""
    page.keyboard.press("Backspace" if page.locator("#name:focus").count() else "u")


def review(browser: Browser, address: str, answers: int, undo_every: int, pause_ms: int) -> None:
    """Answer questions of Review."""
    found = httpx.get(f"{address}{API}/candidates/waiting").json()
    print(f"open questions: {json.dumps(found)}")
    took: list[tuple[float, float]] = []
    undone: list[tuple[float, float]] = []
    kinds: dict[str, int] = {}
    with opened(browser, f"{address}/review") as (page, wrong):
        page.wait_for_function(ANSWERED % 0)
        began = time.monotonic()
        for number in range(1, answers + 1):
            page.wait_for_timeout(pause_ms)
            give = partial(answer, page, number, kinds)
            took.append(timed(page, ANSWERED % number, "#question", give))
            if undo_every and number % undo_every == 0:
                undone.append(timed(page, ANSWERED % (number - 1), "#question", partial(undo, page)))
                answer(page, 500 + number, {})
                page.wait_for_function(ANSWERED % number)
        total = time.monotonic() - began
        page.wait_for_load_state("networkidle")
        print(f"{page.locator('#progress').text_content()}; kinds: {kinds}")
    print(f"{'in ms':<34} {'median':>8} {'95 %':>8} {'longest':>8}")
    report("the next question", took)
    report("undone", undone)
    print(
        f"{answers} answers and {len(undone)} undone and given again: {total:.1f} s; console errors: {wrong}"
    )


def unknown(browser: Browser, address: str, names: int, pause_ms: int) -> None:
    """Name groups of Unknown."""
    took: list[tuple[float, float]] = []
    with opened(browser, f"{address}/unknown") as (page, wrong):
        at_first = int(page.locator("#total").get_attribute("data-total") or 0)
        page.wait_for_function(FREE)
        began = time.monotonic()
        for number in range(names):
            page.wait_for_timeout(pause_ms)
            page.keyboard.type(name_of(number))
            took.append(timed(page, FREE, ".group:focus-within", lambda: page.keyboard.press("Enter")))
        typed = time.monotonic() - began
        page.wait_for_function(f"document.getElementById('total').dataset.total == {at_first - names}")
        total = time.monotonic() - began
    report("the next field", took)
    there = {each["name"] for each in everybody(address)}
    kept = sum(name_of(number) in there for number in range(names))
    print(
        f"{names} names typed in {typed:.1f} s, kept after {total:.1f} s; {kept} people have them; "
        f"console errors: {wrong}"
    )


def everybody(address: str) -> Iterator[dict[str, str]]:
    """All people."""
    page = 1
    while items := httpx.get(f"{address}{API}/persons", params={"pageSize": 100, "page": page}).json()[
        "items"
    ]:
        yield from items
        page += 1


def main() -> None:
    """Fill libraries, serve them, and answer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--persons", type=int, default=500)
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--undo-every", type=int, default=10)
    parser.add_argument("--names", type=int, default=200)
    parser.add_argument("--pause-ms", type=int, default=0)
    given = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        with served(given.photos, given.persons, NAMED_OF_TEN) as address:
            review(browser, address, given.answers, given.undo_every, given.pause_ms)
        with served(given.photos, given.persons, 0) as address:
            unknown(browser, address, given.names, given.pause_ms)
        browser.close()


if __name__ == "__main__":
    main()
