"""A suggestion as a picture: the person's best faces, and below them the items."""

from collections.abc import Sequence

from facesets.files import printable
from facesets.imaging.encode import png_bytes
from facesets.imaging.sheets import draw_sheet
from facesets.operations.people.corrections.naming import NameTaken
from facesets.operations.people.lists.person_sheet import face_entry
from facesets.operations.people.review.questions import Item, Question
from facesets.plurals import counted
from facesets.results.pages.contact_sheets import PlannedRow, PlannedTile, finished_row
from facesets.store.postgres.connection import Database
from facesets.store.postgres.people.person_faces import FaceLine, face_lines
from facesets.store.postgres.people.suggestions import FACE_KINDS
from facesets.work import SilentProgress


def draw_question(database: Database, question: Question) -> bytes:
    """Return a PNG of a suggestion; faces of unreadable photos are empty tiles."""
    wanted = [*question.faces, *(face for item in question.items for face in item.faces)]
    lines = database.run(face_lines, wanted)
    known = {line.id: line for line in lines}
    rows = [_row(question.name, f"{counted(question.of_person, 'face')}", question.faces, known)]
    if question.kind in FACE_KINDS:
        rows.append(_row_of_faces(question.items, known))
    else:
        rows += [
            _row(f"{item.number}: {printable(item.name)}", _similarity_label(item), item.faces, known)
            for item in question.items
        ]
    progress = SilentProgress()
    return png_bytes(draw_sheet(question.text, question.id, [finished_row(row, progress) for row in rows]))


def draw_two_people(database: Database, taken: NameTaken) -> bytes:
    """Return a PNG of two people who would have the same name, the new one first."""
    lines = database.run(face_lines, [*taken.faces, *taken.other_faces])
    known = {line.id: line for line in lines}
    rows = [
        _row("to be named", "", taken.faces, known),
        _row(f"already named {printable(taken.name)}", "", taken.other_faces, known),
    ]
    progress = SilentProgress()
    return png_bytes(draw_sheet(taken.question, "", [finished_row(row, progress) for row in rows]))


def _similarity_label(item: Item) -> str:
    return f"{counted(item.settles, 'face')}, similarity {_rounded(item)}"


def _rounded(item: Item) -> str:
    return f"{item.cosine_similarity:.2f}"


def _row(title: str, facts: str, faces: Sequence[int], known: dict[int, FaceLine]) -> PlannedRow:
    there = [known[face] for face in faces if face in known]
    tiles = [PlannedTile(face_entry(face, i), f"face {face.id}") for i, face in enumerate(there)]
    return PlannedRow(title, (facts,), tuple(tiles), 0, (), 0)


def _row_of_faces(items: Sequence[Item], known: dict[int, FaceLine]) -> PlannedRow:
    there = [(item, known[item.faces[0]]) for item in items if item.faces[0] in known]
    tiles = [
        PlannedTile(face_entry(face, item.number), f"{item.number}: {item.note or _rounded(item)}")
        for item, face in there
    ]
    return PlannedRow("to review", (counted(len(there), "face"),), tuple(tiles), 0, (), 0)
