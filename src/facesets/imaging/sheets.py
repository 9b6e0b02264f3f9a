"""Draw contact sheets: one row per person, of small face crops."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from PIL import Image, ImageDraw

from facesets.imaging.drawing import FAINT, INK, PAPER, SOFT, WARN, fitting, width, write
from facesets.records import Pixels

MAX_CROPS = 12
CROP_PX = 112
SMALL_PX = 72

_MARGIN = 36
_TEXT_WIDTH = 250
_GAP = 8
_ROW_GAP = 22
_HEADER = 92
_CAPTION = 18
_WIDTH = 2 * _MARGIN + _TEXT_WIDTH + MAX_CROPS * (CROP_PX + _GAP) + 64


@dataclass(frozen=True, slots=True)
class Tile:
    """A face crop and the line below it."""

    crop: Pixels
    caption: str = ""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One person: a name, facts in one line each, faces, and rejected faces.

    `more` and `more_dropped` count faces that are not shown.
    """

    title: str
    facts: tuple[str, ...]
    faces: tuple[Tile, ...]
    more: int = 0
    dropped: tuple[Tile, ...] = ()
    more_dropped: int = 0


def draw_sheet(title: str, subtitle: str, rows: Sequence[SheetRow]) -> Pixels:
    """Draw one page.

    Returns
    -------
    uint8 array of shape (h, w, 3)
        As high as its rows need.
    """
    height = _HEADER + sum(_row_height(row) + _ROW_GAP for row in rows) + _MARGIN
    page = Image.new("RGB", (_WIDTH, height), PAPER)
    pen = ImageDraw.Draw(page)
    write(pen, (_MARGIN, 26), title, INK, 30)
    write(pen, (_MARGIN, 62), subtitle, SOFT, 15)
    top = _HEADER
    for row in rows:
        pen.line((_MARGIN, top, _WIDTH - _MARGIN, top), FAINT, 1)
        _draw_row(page, pen, row, top + _ROW_GAP // 2)
        top += _row_height(row) + _ROW_GAP
    return np.asarray(page)


def _row_height(row: SheetRow) -> int:
    text = 30 + 20 * len(row.facts)
    faces = CROP_PX + (_CAPTION if any(tile.caption for tile in row.faces) else 0) if row.faces else 0
    dropped = SMALL_PX + _CAPTION + _GAP if row.dropped else 0
    return max(text, faces + dropped)


def _draw_row(page: Image.Image, pen: ImageDraw.ImageDraw, row: SheetRow, top: int) -> None:
    write(pen, (_MARGIN, top), fitting(row.title, 20, _TEXT_WIDTH - 20), INK, 20)
    for line, fact in enumerate(row.facts):
        write(pen, (_MARGIN, top + 30 + 20 * line), fitting(fact, 14, _TEXT_WIDTH - 20), SOFT, 14)
    left = _MARGIN + _TEXT_WIDTH
    if row.faces:
        draw_tiles(page, pen, row.faces, (left, top), CROP_PX, SOFT)
        _draw_more(pen, row.more, left + len(row.faces) * (CROP_PX + _GAP), top + CROP_PX // 2)
        top += CROP_PX + _GAP + (_CAPTION if any(tile.caption for tile in row.faces) else 0)
    if row.dropped:
        muted = tuple(Tile(_muted(tile.crop), tile.caption) for tile in row.dropped)
        draw_tiles(page, pen, muted, (left, top), SMALL_PX, WARN, step=CROP_PX + _GAP)
        _draw_more(pen, row.more_dropped, left + len(muted) * (CROP_PX + _GAP), top + SMALL_PX // 2)


def draw_tiles(
    page: Image.Image,
    pen: ImageDraw.ImageDraw,
    tiles: Sequence[Tile],
    corner: tuple[int, int],
    size: int,
    ink: tuple[int, int, int],
    step: int = CROP_PX + _GAP,
) -> None:
    """Draw faces in a row from a corner, `size` pixels each and `step` pixels apart."""
    for place, tile in enumerate(tiles):
        left = corner[0] + place * step
        picture = Image.fromarray(cv2.resize(tile.crop, (size, size), interpolation=cv2.INTER_AREA))
        page.paste(picture, (left, corner[1]), _rounded_corners(size))
        if tile.caption:
            points = next((each for each in (12, 11) if width(tile.caption, each) <= step - 4), 10)
            caption = fitting(tile.caption, points, step - 4)
            write(pen, (left, corner[1] + size + 3), caption, ink, points)


def _draw_more(pen: ImageDraw.ImageDraw, count: int, left: int, middle: int) -> None:
    if count:
        write(pen, (left + 6, middle), f"+{count}", SOFT, 18, anchor="lm")


def _muted(crop: Pixels) -> Pixels:
    """Make a crop gray and pale, so that rejected faces do not compete with accepted ones."""
    gray = cv2.cvtColor(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    pale: Pixels = cv2.addWeighted(gray, 0.62, np.full_like(gray, 250), 0.38, 0)
    return pale


@cache
def _rounded_corners(size: int) -> Image.Image:
    large = Image.new("L", (4 * size, 4 * size), 0)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, 4 * size - 1, 4 * size - 1), radius=24, fill=255)
    return large.resize((size, size), Image.Resampling.LANCZOS)
