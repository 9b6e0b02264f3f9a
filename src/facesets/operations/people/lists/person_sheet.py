"""A contact sheet of a person's best faces."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from msgspec import UNSET

from facesets.files import printable
from facesets.imaging.encode import png_bytes
from facesets.imaging.sheets import MAX_CROPS, draw_sheet
from facesets.operations.people.lists.listing import PersonDetails
from facesets.plurals import counted
from facesets.results.manifest import FaceEntry
from facesets.results.pages.contact_sheets import PlannedRow, PlannedTile, finished_row, write_sheet
from facesets.store.postgres.people.person_faces import FaceLine
from facesets.work import Work

_ROWS = 4
SHOWN = _ROWS * MAX_CROPS
"""Maximum number of faces on a sheet."""
_DAY = len("2019-07-04")


def draw_person(details: PersonDetails, path: Path, *, work: Work) -> int:
    """Draw the best faces of a person, each with its number.

    Returns
    -------
    int
        Number of empty tiles: faces whose photo cannot be read at any path.

    Raises
    ------
    CannotWrite
        The picture cannot be written.
    """
    shown = details.shown[:SHOWN]
    rows = [_row(shown[start : start + MAX_CROPS], start) for start in range(0, len(shown), MAX_CROPS)]
    work.progress.begin("Drawing faces", len(rows))
    finished = [finished_row(row, work.progress) for row in rows if not work.stop.requested]
    work.progress.end()
    line = details.person
    title = ", ".join(map(printable, line.names)) or line.id
    subtitle = f"{counted(line.faces, 'face')} on {counted(line.photos, 'photo')}"
    if line.names:
        subtitle += f"   ·   {line.id}"
    write_sheet(path, png_bytes(draw_sheet(title, subtitle, finished)), rows)
    return sum(not any(os.access(path, os.R_OK) for path in face.paths) for face in shown)


def draw_parts(
    title: str, parts: Sequence[tuple[str, Sequence[FaceLine]]], path: Path, *, work: Work
) -> None:
    """Draw some faces of each part, one row per part. Raises `CannotWrite`."""
    rows = [
        replace(_row(faces[:MAX_CROPS], number * MAX_CROPS), title=name, facts=())
        for number, (name, faces) in enumerate(parts)
    ]
    work.progress.begin("Drawing faces", len(rows))
    finished = [finished_row(row, work.progress) for row in rows if not work.stop.requested]
    work.progress.end()
    write_sheet(path, png_bytes(draw_sheet(title, counted(len(parts), "part"), finished)), rows)


def _row(faces: Sequence[FaceLine], start: int) -> PlannedRow:
    return PlannedRow(
        title=f"{start + 1} to {start + len(faces)}",
        facts=("the best first",) if start == 0 else (),
        faces=tuple(
            PlannedTile(face_entry(face, start + i), f"face {face.id}  {face.taken[:_DAY]}".rstrip())
            for i, face in enumerate(faces)
        ),
        more=0,
        dropped=(),
        more_dropped=0,
    )


def face_entry(face: FaceLine, number: int) -> FaceEntry:
    """Return a face in the form that contact sheets take."""
    short = min(face.box[2] - face.box[0], face.box[3] - face.box[1])
    return FaceEntry(
        face=f"{face.sha256}#{number}",
        paths=face.paths,
        box=face.box,
        kps=face.kps,
        det_score=face.det_score,
        face_short=short,
        blur=0.0,
        quality=face.quality,
        taken=face.taken or UNSET,
    )
