"""Contact sheets of manifests: plan the rows, and cut the faces out of their photos."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import cv2
import numpy as np

from facesets.errors import UnreadableImage
from facesets.files import atomic_write
from facesets.imaging.align import align
from facesets.imaging.decode import decode
from facesets.imaging.encode import png_bytes
from facesets.imaging.originals import read_photo
from facesets.imaging.sheets import CROP_PX, MAX_CROPS, SheetRow, Tile, draw_sheet
from facesets.interfaces import Progress
from facesets.plurals import counted, people
from facesets.records import Pixels
from facesets.results.export_manifest import ExportManifest, SetManifest
from facesets.results.gates import reason
from facesets.results.manifest import (
    SET_MANIFEST,
    SHEET_NAME,
    ClusterManifest,
    DroppedFace,
    FaceEntry,
    Group,
    RefineManifest,
)
from facesets.results.manifest_json import read_manifest
from facesets.results.pages.counterparts import sibling_names
from facesets.rights import rights_of
from facesets.work import Work

FacesManifest = ClusterManifest | RefineManifest | ExportManifest | SetManifest

ROWS_PER_PAGE = 30
OWN_SHEET_ROWS = 60
"""Rows on the sheets that commands write by themselves; `facesets sheet` draws all."""

_WORDS = {
    "images": ("photo", "photos"),
    "persons": ("person", "people"),
    "facesets": ("face set", "face sets"),
    "sets": ("face set", "face sets"),
    "dropped": ("rejected", "rejected"),
    "singletons": ("unassigned face", "unassigned faces"),
    "no_face": ("photo without a face", "photos without a face"),
}
"""What a manifest counts, in words."""

_YEAR, _DAY = len("2019"), len("2019-07-04")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PlannedTile:
    """A planned face: cut from its photo, or read from an existing PNG."""

    face: FaceEntry
    caption: str
    png: Path | None = None


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A row before any picture is read."""

    title: str
    facts: tuple[str, ...]
    faces: tuple[PlannedTile, ...]
    more: int
    dropped: tuple[PlannedTile, ...]
    more_dropped: int


def plan_rows(manifest: FacesManifest, folder: Path) -> list[PlannedRow]:
    """Plan the rows of a manifest in `folder`: one per person, largest first."""
    if isinstance(manifest, ClusterManifest):
        return [_group_row(group, ()) for group in manifest.persons]
    if isinstance(manifest, RefineManifest):
        return _refine_rows(manifest, sibling_names(manifest, folder))
    if isinstance(manifest, SetManifest):
        return [_set_row(manifest, folder)]
    sets = [folder / PurePosixPath(entry.name) for entry in manifest.sets]
    there = [path for path in sets if (path / SET_MANIFEST).is_file()]
    return [_set_row(read_manifest(path / SET_MANIFEST, SetManifest), path) for path in there]


def write_sheet(path: Path, content: bytes, rows: Iterable[PlannedRow]) -> None:
    """Write a page with the rights of the photos of its rows. Raises `CannotWrite`."""
    photos = {path for row in rows for tile in (*row.faces, *row.dropped) for path in tile.face.paths}
    with atomic_write(path, rights=rights_of(photos, path.parent)) as file:
        file.write(content)


def draw_sheets(
    manifest: FacesManifest,
    rows: Sequence[PlannedRow],
    manifest_name: str,
    *,
    work: Work,
    limit: int = OWN_SHEET_ROWS,
) -> dict[str, bytes]:
    """Draw rows on as many pages as they need.

    Returns
    -------
    dict
        File name to PNG: `contact_sheet.png`, `contact_sheet_2.png` and so on. Incomplete after a request
        to stop.
    """
    shown = rows[:limit]
    starts = range(0, len(shown), ROWS_PER_PAGE)
    work.progress.begin("Drawing contact sheets", len(shown))
    pages = {}
    for number, start in enumerate(starts, start=1):
        finished = [
            finished_row(row, work.progress)
            for row in shown[start : start + ROWS_PER_PAGE]
            if not work.stop.requested
        ]
        subtitle = _subtitle(manifest, manifest_name, len(shown), len(rows), number, len(starts))
        pages[page_name(SHEET_NAME, number)] = png_bytes(draw_sheet(_title(manifest), subtitle, finished))
    work.progress.end()
    return pages


def own_sheet_names(rows: int = OWN_SHEET_ROWS) -> list[str]:
    """Return the names of a command's own sheets for a number of rows; by default all possible ones."""
    pages = -(-min(rows, OWN_SHEET_ROWS) // ROWS_PER_PAGE)
    return [page_name(SHEET_NAME, page) for page in range(1, pages + 1)]


def page_name(first: str, number: int) -> str:
    """Name page 1 as given, page 2 with `_2` before the ending, and so on."""
    path = PurePosixPath(first)
    return first if number == 1 else f"{path.stem}_{number}{path.suffix}"


def _title(manifest: FacesManifest) -> str:
    counts = manifest.counts if not isinstance(manifest, SetManifest) else {}
    if isinstance(manifest, ClusterManifest):
        return people(counts["persons"])
    if isinstance(manifest, RefineManifest):
        return counted(counts["facesets"], "face set")
    if isinstance(manifest, ExportManifest):
        return counted(len(manifest.sets), "exported face set")
    return manifest.name


def _subtitle(manifest: FacesManifest, name: str, shown: int, rows: int, page: int, pages: int) -> str:
    if isinstance(manifest, SetManifest):
        facts = [counted(len(manifest.faces), "face")]
    else:
        facts = [count_in_words(what, count) for what, count in manifest.counts.items()]
    facts += [f"first {shown} of {rows} rows"] if shown < rows else []
    facts += [f"page {page} of {pages}"] if pages > 1 else []
    return "   ·   ".join([name, *facts])


def count_in_words(what: str, count: int) -> str:
    """Return a count of a manifest with its noun."""
    one, many = _WORDS.get(what, (what.removesuffix("s").replace("_", " "), what.replace("_", " ")))
    return counted(count, one, many)


def _refine_rows(manifest: RefineManifest, people_of: Mapping[str, str]) -> list[PlannedRow]:
    """Return rows of face sets, each with its people, then of clusters without a face set."""
    by_group: dict[str, list[DroppedFace]] = defaultdict(list)
    for dropped in manifest.dropped:
        by_group[dropped.group].append(dropped)
    rows = [
        _group_row(group, by_group.pop(group.name, ()), people_of.get(group.name, ""))
        for group in manifest.facesets
    ]
    rest = sorted(by_group.items(), key=lambda item: -len(item[1]))
    return rows + [_group_row(Group(name, 0, ()), dropped) for name, dropped in rest]


def _group_row(group: Group, dropped: Sequence[DroppedFace], counterpart: str = "") -> PlannedRow:
    best_first = sorted(group.faces, key=lambda face: -face.quality)
    tiles = [PlannedTile(face, _caption(face, face.quality)) for face in best_first]
    facts = _facts([face.quality for face in group.faces], group.images, len(dropped), group.faces)
    if counterpart not in ("", group.name):
        facts = (f"person: {counterpart}", *facts)
    return _row(group.name, facts, tiles, dropped)


def _set_row(manifest: SetManifest, folder: Path) -> PlannedRow:
    tiles = [
        PlannedTile(item.face, _caption(item.face, item.quality.total), folder / PurePosixPath(item.file))
        for item in manifest.faces
    ]
    images = len({item.face.image for item in manifest.faces})
    qualities = [item.quality.total for item in manifest.faces]
    facts = _facts(qualities, images, len(manifest.dropped), [item.face for item in manifest.faces])
    if manifest.candidates:
        facts = (*facts, f"{counted(len(manifest.candidates), 'candidate')} to review")
    return _row(manifest.name, facts, tiles, manifest.dropped)


def _caption(face: FaceEntry, quality: float) -> str:
    """Return the quality of a face, and the day of its photo if it is known."""
    return "  ".join(filter(None, [f"{quality:.2f}", face.time[:_DAY]]))


def _facts(
    qualities: Sequence[float], images: int, dropped: int, faces: Sequence[FaceEntry]
) -> tuple[str, ...]:
    facts = []
    if qualities:
        facts.append(f"{counted(len(qualities), 'face')} in {counted(images, 'photo')}")
        facts.append(f"quality {max(qualities):.2f} to {min(qualities):.2f}")
    if years := {face.time[:_YEAR] for face in faces if face.time}:
        first, last = min(years), max(years)
        facts.append(f"taken {first}" if first == last else f"taken {first} to {last}")
    if dropped:
        facts.append(f"{dropped} rejected" if qualities else f"no face set: {dropped} rejected")
    return tuple(facts)


def _row(
    title: str, facts: tuple[str, ...], tiles: Sequence[PlannedTile], dropped: Sequence[DroppedFace]
) -> PlannedRow:
    out = [PlannedTile(item.face, reason(item)) for item in _varied(dropped)]
    return PlannedRow(
        title=title,
        facts=facts,
        faces=tuple(_spread(tiles)),
        more=max(len(tiles) - MAX_CROPS, 0),
        dropped=tuple(out),
        more_dropped=max(len(dropped) - MAX_CROPS, 0),
    )


def _spread(ordered: Sequence[_T]) -> list[_T]:
    """Choose at most a row of faces, evenly from first to last, so that the worst is shown, too."""
    if len(ordered) <= MAX_CROPS:
        return list(ordered)
    return [ordered[i] for i in np.linspace(0, len(ordered) - 1, MAX_CROPS).round().astype(int)]


def _varied(dropped: Sequence[DroppedFace]) -> list[DroppedFace]:
    """Choose at most a row of dropped faces, from every gate in turn."""
    places: dict[str, int] = defaultdict(int)
    turns = []
    for item in dropped:
        turns.append((places[item.gate], item))
        places[item.gate] += 1
    return [item for _, item in sorted(turns, key=lambda turn: turn[0])[:MAX_CROPS]]


def finished_row(row: PlannedRow, progress: Progress) -> SheetRow:
    """Cut the faces of a row out of their photos."""
    crops = _cut_out([*row.faces, *row.dropped])
    progress.advance()
    return SheetRow(
        title=row.title,
        facts=row.facts,
        faces=tuple(Tile(crops[tile.face.face], tile.caption) for tile in row.faces),
        more=row.more,
        dropped=tuple(Tile(crops[tile.face.face], tile.caption) for tile in row.dropped),
        more_dropped=row.more_dropped,
    )


def _cut_out(tiles: Iterable[PlannedTile]) -> dict[str, Pixels]:
    """Cut out tiles, reading each photo once; a face of an unreadable photo is an empty tile."""
    by_picture: dict[Path | str, list[PlannedTile]] = defaultdict(list)
    for tile in tiles:
        by_picture[tile.png or tile.face.image].append(tile)
    crops: dict[str, Pixels] = {}
    for wanted in by_picture.values():
        first = wanted[0]
        try:
            pixels = decode(first.png).pixels if first.png else read_photo(first.face.paths, first.face.image)
        except UnreadableImage:
            crops |= {tile.face.face: _empty_tile() for tile in wanted}
            continue
        crops |= {tile.face.face: _crop(pixels, tile) for tile in wanted}
    return crops


def _crop(pixels: Pixels, tile: PlannedTile) -> Pixels:
    if tile.png:
        small: Pixels = cv2.resize(pixels, (CROP_PX, CROP_PX), interpolation=cv2.INTER_AREA)
        return small
    with np.errstate(over="ignore"):
        kps = np.array(tile.face.kps, np.float32).reshape(5, 2)
    return align(pixels, kps, CROP_PX) if np.isfinite(kps).all() else _empty_tile()


def _empty_tile() -> Pixels:
    return np.full((CROP_PX, CROP_PX, 3), 225, np.uint8)
