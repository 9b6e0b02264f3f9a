"""Faces on the terminal: within it, else as a picture that a key opens, or that is looked at elsewhere."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from facesets import settings
from facesets.cli import console
from facesets.cli.terminal import ended_by_signals, open_picture, picture
from facesets.files import printable

if TYPE_CHECKING:
    from facesets.operations.people.corrections.naming import NameTaken
    from facesets.store.postgres.connection import Database


class ShownFaces:
    """A picture of faces that the terminal shows, or that lies in one file as long as somebody is asked."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._protocol = settings.inline_pictures()
        self.can_open = not self._protocol and settings.shows_windows()

    def show(self, png: bytes) -> None:
        """Show it; where that is not possible, say where it is."""
        self._file.write_bytes(png)
        if shown := picture(png, self._protocol):
            console.out(f"\n{shown}")

    @property
    def where(self) -> str:
        """How to look at it, as a line; empty where it is seen already."""
        if self._protocol:
            return ""
        elsewhere = "o opens it" if self.can_open else "`facesets serve --open` shows faces in the browser"
        return f"  faces: {printable(self._file)}  ({elsewhere})"

    def open(self) -> None:
        """Open it in the desktop's viewer."""
        open_picture(self._file)


@contextmanager
def showing_faces() -> Iterator[ShownFaces]:
    """A place for a picture; it is gone at the end, also of a kill."""
    with ended_by_signals(), tempfile.TemporaryDirectory(prefix="facesets-") as folder:
        yield ShownFaces(Path(folder) / "question.png")


def are_one(database: "Database", taken: "NameTaken") -> bool:
    """Whether two people of one name are one, as whoever sits at the terminal says who sees both.

    Without a terminal, and by Enter alone, they are not.
    """
    from facesets.operations.people.review.question_sheet import draw_two_people

    if not console.can_ask() or console.session.json:
        return False
    with showing_faces() as faces:
        faces.show(draw_two_people(database, taken))
        if faces.where:
            console.notice(faces.where)
        if faces.can_open:
            faces.open()
        return console.agrees(taken.question)
