"""Take the documents' pictures of the browser pages, of a made-up library that needs no model.

    PYTHONPATH=src:. .venv/bin/python scripts/page_pictures.py [FOLDER]

Its photos may be shown to anyone: variations of a portrait that scikit-image brings, and drawn people.
Two runs take the same pictures. Needs Chromium (scripts/chromium) and what `scripts/install --dev` installs.
"""

import hashlib
import io
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import manimgx_fonts
import noto_cjk_sans_jp_regular
import numpy as np
import skimage
from drawn_people import Box, Looks, draw_photo
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from playwright.sync_api import Browser, Page, sync_playwright
from tests.fixtures.chromium import CHROMIUM, opened
from tests.fixtures.library_people import cluster, heart_of, like
from tests.fixtures.made_faces import SETTINGS, made_faces, made_file
from tests.fixtures.website import named, served

from facesets.records import Faces, ImageRecord
from facesets.store.postgres.connection import Database
from facesets.store.postgres.library import Library
from facesets.store.postgres.migrate import migrate, shipped_migrations
from facesets.store.postgres.server.embedded import EmbeddedServer

DOCS = Path(__file__).resolve().parents[1] / "docs"
WIDTH = 1200
PORTRAIT, PRINTS = "Eileen Collins", "prints"
"""The person of the portrait, and the same person on faded prints, not yet recognized."""
COUNTS = {PORTRAIT: 22, PRINTS: 6}
PEOPLE = {
    "Anna Berg": Looks((238, 200, 170), (92, 60, 40), "long"),
    "Samuel Okafor": Looks((140, 94, 66), (38, 30, 28), "short", has_beard=True),
    "Ruth Kelly": Looks((246, 214, 190), (190, 80, 40), "curly"),
    "Mei Tanaka": Looks((240, 206, 170), (40, 36, 40), "bun", has_glasses=True),
    "Jonas Weber": Looks((240, 205, 180), (120, 110, 100), "bald", has_beard=True, has_glasses=True),
    "Emil Lind": Looks((246, 216, 194), (222, 180, 110), "short"),
    "Priya Nair": Looks((200, 150, 112), (44, 34, 32), "long", has_glasses=True),
    "Ada Mensah": Looks((118, 78, 56), (44, 36, 36), "curly"),
    "Luis Romero": Looks((222, 176, 138), (58, 44, 38), "short", has_glasses=True),
    "Greta Lind": Looks((244, 212, 192), (206, 204, 200), "bun"),
    "Tom Kelly": Looks((244, 208, 184), (170, 92, 50), "short", has_beard=True),
    "Joseph Mensah": Looks((126, 84, 60), (70, 66, 64), "bald"),
}
DRAWN = (
    *((who,) for place, who in enumerate(PEOPLE) for _ in range(15 - place)),
    *[("Anna Berg", "Jonas Weber")] * 3,
    *[("Ruth Kelly", "Emil Lind", "Mei Tanaka")] * 3,
    *[("Samuel Okafor", "Anna Berg")] * 3,
)
"""The people on each drawn photo."""
_FIRST_YEAR = {PRINTS: 1990, PORTRAIT: 1996, **{who: 2010 + place for place, who in enumerate(PEOPLE)}}
_DAYS_BETWEEN = 52
"""A year of photos then fills one row of a person's page."""
_EDGE, _MARGIN, _FACE = 1024, 200, (350, 120, 550, 390)
"""Of the portrait: its size, what is added around it while it is turned, and the place of the face."""
_SPREAD = 0.7
_PRINTS_SIMILARITY = 0.54
"""Of faces on prints to the person's other faces: uncertain, so that it becomes a suggestion."""

Photo = tuple[Image.Image, dict[str, Box]]
"""A picture, and the place of each person's face."""


def portraits(who: str, rng: np.random.Generator) -> Iterator[Photo]:
    """Vary the portrait: turned, mirrored, in other light, blurred, without colour."""
    path = Path(skimage.__file__).parent / "data" / "astronaut.png"
    whole = Image.open(path).convert("RGB").resize((_EDGE, _EDGE), Image.Resampling.LANCZOS)
    around = ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0))
    wide = Image.fromarray(np.pad(np.asarray(whole), around, mode="reflect"))
    left, top, right, bottom = _FACE
    middle = _MARGIN + (left + right) / 2, _MARGIN + (top + bottom) / 2
    for number in range(COUNTS[who]):
        picture = wide.rotate(rng.uniform(-9, 9), Image.Resampling.BICUBIC, center=middle)
        picture = picture.crop((_MARGIN, _MARGIN, _MARGIN + _EDGE, _MARGIN + _EDGE))
        picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.75, 1.2))
        picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(0.8, 1.2))
        has_colour = who == PORTRAIT and number % 6 != 4
        picture = ImageEnhance.Color(picture).enhance(rng.uniform(0.6, 1.4) if has_colour else 0)
        if who == PRINTS:
            picture = Image.blend(picture, Image.new("RGB", picture.size, (190, 160, 110)), 0.35)
        if number % 5 == 3:
            picture = picture.filter(ImageFilter.GaussianBlur(2.5))
        across, down = rng.uniform(-15, 15, 2)
        larger = rng.uniform(-25, 30)
        box = (left + across - larger, top + down - larger, right + across + larger, bottom + down + larger)
        if number % 3 == 1:
            picture = ImageOps.mirror(picture)
            box = (_EDGE - box[2], box[1], _EDGE - box[0], box[3])
        yield picture, {who: box}


def drawings(rng: np.random.Generator) -> Iterator[Photo]:
    """Draw the other people, alone and together."""
    for people in DRAWN:
        picture, boxes = draw_photo([PEOPLE[each] for each in people], rng)
        yield picture, dict(zip(people, boxes, strict=True))


def faces_of(boxes: dict[str, Box], rng: np.random.Generator) -> Faces:
    """Return the faces of a photo as if a model had found them."""
    hearts = [like(PORTRAIT, PRINTS, _PRINTS_SIMILARITY) if who == PRINTS else heart_of(who) for who in boxes]
    vectors = np.array([heart / np.linalg.norm(heart) for heart in hearts])
    vectors += rng.standard_normal(vectors.shape) * _SPREAD / np.sqrt(vectors.shape[1])
    box = np.array(list(boxes.values()), np.float32)
    return replace(
        made_faces(len(boxes)),
        box=box,
        det_score=np.full(len(boxes), 0.9, np.float32),
        embedding=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        face_short=box[:, 2] - box[:, 0],
        blur=np.full(len(boxes), 300, np.float32),
    )


def fill(library: Library, folder: Path) -> None:
    """Write the photos, add them and their faces to a library, make people of the faces, and name them."""
    rng = np.random.default_rng(7)
    records, images = [], []
    written: Counter[str] = Counter()
    for picture, boxes in (*portraits(PORTRAIT, rng), *portraits(PRINTS, rng), *drawings(rng)):
        who = " and ".join(boxes)
        path = folder / f"{who}-{written[who]}.jpg"
        picture.save(path, quality=92)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        first = np.datetime64(str(_FIRST_YEAR[next(iter(boxes))]), "s")
        taken = first + np.timedelta64(_DAYS_BETWEEN * written[who], "D")
        image = ImageRecord(digest, *picture.size, taken, bytes.fromhex(digest), faces_of(boxes, rng))
        records.append(made_file(str(path), image))
        images.append(image)
        written[who] += 1
    with library.writing(SETTINGS):
        library.commit(records, images)
    cluster(library)
    for who in (PORTRAIT, *PEOPLE):
        named(library, f"{who}-0", who)


@contextmanager
def served_library(folder: Path) -> Iterator[str]:
    """Fill a library below a folder and serve it: the address of its pages."""
    with EmbeddedServer(folder / "postgres") as server:
        with closing(Database(server.conninfo)) as database:
            migrate(database, shipped_migrations())
            fill(Library(database), folder)
        with served(server.conninfo, folder / "crops") as website:
            yield website.address


@contextmanager
def page_at(browser: Browser, address: str, height: int) -> Iterator[Page]:
    """Open a page that shows no picture before `take`: Chromium decodes a part of a file to other pixels."""
    with opened(browser, "about:blank", (WIDTH, height)) as page:
        page.add_init_script(
            """const hidden = new CSSStyleSheet();
            hidden.replaceSync("img { visibility: hidden }");
            document.adoptedStyleSheets = [hidden];"""
        )
        page.goto(address)
        yield page


def take(page: Page, path: Path) -> None:
    """Take a picture of the window, once all pictures in it are there."""
    page.evaluate(
        """() => Promise.all([...document.images]
            .filter((each) => !each.complete && each.getBoundingClientRect().top < innerHeight)
            .map((each) => new Promise((done) => each.addEventListener("load", done))))"""
    )
    page.evaluate("document.adoptedStyleSheets = []")
    shown = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    # In full colour it is three times as large and looks the same.
    shown.quantize(256, kmeans=3).save(path, optimize=True)


def take_all(browser: Browser, address: str, folder: Path) -> None:
    """Take the pictures of all pages."""
    with page_at(browser, f"{address}/people", 655) as page:
        take(page, folder / "serve-people.png")
        page.get_by_text(PORTRAIT).click()
        for place in (2, 4):
            page.locator("#faces [role=option]").nth(place).click()
        take(page, folder / "serve-person.png")
    with page_at(browser, f"{address}/review", 625) as page:
        page.get_by_text("2 left").wait_for()
        page.get_by_role("button", name="Skip").click()
        page.get_by_text("Are these the same person?").wait_for()
        take(page, folder / "serve-review.png")


def main() -> None:
    """Take them, with the program's own fonts, so that they are the same on every machine."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    if CHROMIUM is None:
        sys.exit("Chromium not found. Run scripts/chromium.")
    with tempfile.TemporaryDirectory(prefix="fsets.") as name, sync_playwright() as playwright:
        work = Path(name)
        # The database server may run as another user.
        work.chmod(0o755)
        packages = (manimgx_fonts, noto_cjk_sans_jp_regular)
        folders = "".join(f"<dir>{Path(each.__file__).parent}</dir>" for each in packages)
        fonts = work / "fonts.conf"
        fonts.write_text(f"<fontconfig>{folders}<cachedir>{work}</cachedir></fontconfig>")
        arguments = ["--no-sandbox", "--disable-gpu"]
        environment: dict[str, str | float | bool] = {**os.environ, "FONTCONFIG_FILE": str(fonts)}
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments, env=environment)
        with served_library(work) as address:
            take_all(browser, address, folder)
        browser.close()


if __name__ == "__main__":
    main()
