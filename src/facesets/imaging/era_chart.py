"""Draw the evidence for splitting a person by era: distances, cuts, and years of sub-clusters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from facesets.imaging.drawing import (
    FAINT,
    INK,
    MIDDLE,
    PAPER,
    SOFT,
    STRONG,
    WARN,
    Colour,
    fitting,
    width,
    write,
)
from facesets.imaging.sheets import Tile, draw_tiles
from facesets.records import Pixels

FACES_SHOWN = 6

_WIDTH = 1480
_MARGIN = 36
_HEADER = 116
_CHART_HEIGHT = 250
_HALF = (_WIDTH - 3 * _MARGIN) // 2
_ROW = 116
_FACE = 84
_TEXT_WIDTH = 240
_YEARS_LEFT = _MARGIN + _TEXT_WIDTH + FACES_SHOWN * (_FACE + 8) + 30
_AXIS = 34
_TICKS = 8


@dataclass(frozen=True, slots=True)
class CutBar:
    """One cut of the tree: sizes of its sub-clusters, largest first; the first `anchors` are anchors."""

    label: str
    sizes: Sequence[int]
    anchors: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class ChartRow:
    """One sub-cluster at the chosen cut.

    Attributes
    ----------
    years : mapping
        Faces by capture year, without those of unknown year.
    """

    title: str
    facts: tuple[str, ...]
    is_anchor: bool
    faces: tuple[Tile, ...]
    years: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class EraChart:
    """A page of evidence.

    Attributes
    ----------
    edges : sequence of float
        Bounds of the bins of `counts`, in cosine distance.
    counts : sequence of int
        Pairs of faces by distance.
    marks : sequence of float
        Cuts to mark among the distances; `chosen_mark` is the one that splits.
    """

    title: str
    subtitle: str
    verdict: str
    edges: Sequence[float]
    counts: Sequence[int]
    marks: Sequence[float]
    chosen_mark: float
    cuts: Sequence[CutBar]
    rows: Sequence[ChartRow]
    more: int


def draw_era_chart(chart: EraChart) -> Pixels:
    """Draw the page.

    Returns
    -------
    uint8 array of shape (h, w, 3)
        As high as its rows need.
    """
    rows_top = _HEADER + 34 + _CHART_HEIGHT + _AXIS + 34
    height = rows_top + 36 + _ROW * len(chart.rows) + (30 if chart.more else 0) + _MARGIN
    page = Image.new("RGB", (_WIDTH, height), PAPER)
    pen = ImageDraw.Draw(page)
    write(pen, (_MARGIN, 26), fitting(chart.title, 30, _WIDTH - 2 * _MARGIN), INK, 30)
    write(pen, (_MARGIN, 64), fitting(chart.subtitle, 15, _WIDTH - 2 * _MARGIN), SOFT, 15)
    write(pen, (_MARGIN, 86), fitting(chart.verdict, 15, _WIDTH - 2 * _MARGIN), WARN, 15)
    _draw_distances(pen, chart, _MARGIN, _HEADER)
    _draw_cuts(pen, chart.cuts, 2 * _MARGIN + _HALF, _HEADER)
    _draw_rows(page, pen, chart, rows_top)
    return np.asarray(page)


def _draw_distances(pen: ImageDraw.ImageDraw, chart: EraChart, left: int, top: int) -> None:
    write(pen, (left, top), "Cosine distance of all pairs of faces", INK, 16)
    top += 34
    bottom = top + _CHART_HEIGHT
    low, high = chart.edges[0], chart.edges[-1]

    def x(distance: float) -> float:
        return left + (distance - low) / (high - low) * _HALF

    peak = max(*chart.counts, 1)
    for (start, end), count in zip(pairwise(chart.edges), chart.counts, strict=True):
        if count:
            bar = max(1.0, count / peak * (_CHART_HEIGHT - 24))
            pen.rectangle((x(start) + 1, bottom - bar, x(end) - 1, bottom), MIDDLE)
    for mark in chart.marks:
        chosen = mark == chart.chosen_mark
        colour = WARN if chosen else FAINT
        pen.line((x(mark), top, x(mark), bottom), colour, 2 if chosen else 1)
    write(pen, (x(chart.chosen_mark) + 5, top), f"cut {chart.chosen_mark:.2f}", WARN, 13)
    pen.line((left, bottom, left + _HALF, bottom), SOFT, 1)
    for tick in np.arange(np.ceil(low / 0.2) * 0.2, high + 1e-9, 0.2):
        write(pen, (x(float(tick)), bottom + 8), f"{tick:.1f}", SOFT, 13, anchor="ma")


def _draw_cuts(pen: ImageDraw.ImageDraw, cuts: Sequence[CutBar], left: int, top: int) -> None:
    write(pen, (left, top), "Sub-clusters at each cut: ", INK, 16)
    at = left + width("Sub-clusters at each cut: ", 16)
    for text, colour in (("anchors", STRONG), (", ", INK), ("fragments", MIDDLE)):
        write(pen, (at, top), text, colour, 16)
        at += width(text, 16)
    top += 34
    step = (_CHART_HEIGHT + _AXIS) / max(len(cuts), 1)
    bar_left, bar_width = left + 52, _HALF - 52
    for number, cut in enumerate(cuts):
        y = top + number * step
        ink = WARN if cut.chosen else SOFT
        write(pen, (left, y + step * 0.3), cut.label, ink, 15, anchor="lm")
        _draw_blocks(pen, cut, (bar_left, y + step * 0.1), (bar_width, step * 0.42))
        write(pen, (bar_left, y + step * 0.76), _words(cut), ink, 13, anchor="lm")


def _draw_blocks(
    pen: ImageDraw.ImageDraw, cut: CutBar, corner: tuple[float, float], size: tuple[float, float]
) -> None:
    """Draw a bar that is divided by the sub-clusters' shares of all faces."""
    left, total = corner[0], max(sum(cut.sizes), 1)
    for place, faces in enumerate(cut.sizes):
        right = left + faces / total * size[0]
        colour = STRONG if place < cut.anchors else MIDDLE
        box = (left, corner[1], max(right - 2, left), corner[1] + size[1])
        pen.rectangle(box, colour)
        if place < cut.anchors and right - left > 34:
            write(pen, ((left + right) / 2, corner[1] + size[1] / 2), str(faces), PAPER, 13, anchor="mm")
        left = right


def _words(cut: CutBar) -> str:
    alone = sum(size == 1 for size in cut.sizes)
    fragments = len(cut.sizes) - cut.anchors - alone
    parts = [f"{n} {what}{'s'[: n != 1]}" for n, what in ((cut.anchors, "anchor"), (fragments, "fragment"))]
    return ", ".join([*parts, f"{alone} single"])


def _draw_rows(page: Image.Image, pen: ImageDraw.ImageDraw, chart: EraChart, top: int) -> None:
    title = f"Sub-clusters at {chart.chosen_mark:.2f}, their faces and capture years"
    write(pen, (_MARGIN, top), title, INK, 16)
    known = [year for row in chart.rows for year in row.years]
    span = (min(known), max(known)) if known else None
    top += 36
    for row in chart.rows:
        pen.line((_MARGIN, top, _WIDTH - _MARGIN, top), FAINT, 1)
        colour = STRONG if row.is_anchor else INK
        write(pen, (_MARGIN, top + 10), fitting(row.title, 18, _TEXT_WIDTH - 16), colour, 18)
        for line, fact in enumerate(row.facts):
            place = (_MARGIN, top + 36 + 19 * line)
            write(pen, place, fitting(fact, 13, _TEXT_WIDTH - 16), SOFT, 13)
        draw_tiles(page, pen, row.faces, (_MARGIN + _TEXT_WIDTH, top + 8), _FACE, SOFT, _FACE + 8)
        _draw_years(pen, row, span, top)
        top += _ROW
    if chart.more:
        write(pen, (_MARGIN, top + 10), f"and {chart.more} smaller ones", SOFT, 15)


def _draw_years(pen: ImageDraw.ImageDraw, row: ChartRow, span: tuple[int, int] | None, top: int) -> None:
    left, right, bottom = _YEARS_LEFT, _WIDTH - _MARGIN, top + _ROW - 26
    if span is None or not row.years:
        write(pen, (left, top + _ROW // 2), "no capture years known", SOFT, 13, anchor="lm")
        return
    first, last = span
    step = (right - left) / (last - first + 1)
    peak = max(row.years.values())
    colour: Colour = STRONG if row.is_anchor else MIDDLE
    for year, faces in row.years.items():
        x = left + (year - first) * step
        bar = max(2.0, faces / peak * (_ROW - 48))
        pen.rectangle((x + 1, bottom - bar, max(x + step - 1, x + 2), bottom), colour)
    pen.line((left, bottom, right, bottom), SOFT, 1)
    every = max(1, -(-(last - first + 1) // _TICKS))
    for year in range(first, last + 1, every):
        place = (left + (year - first + 0.5) * step, bottom + 5)
        write(pen, place, str(year), SOFT, 12, anchor="ma")
