"""Faces shown in the terminal, or as a picture that a key opens."""

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
    """A picture of faces, shown in the terminal or stored in a file while the user answers."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._protocol = settings.inline_pictures()
        self.can_open = not self._protocol and settings.shows_windows()

    def show(self, png: bytes) -> None:
        """Show the picture in the terminal, if it can; write it to the file in any case."""
        self._file.write_bytes(png)
        if shown := picture(png, self._protocol):
            console.out(f"\n{shown}")

    @property
    def where(self) -> str:
        """A line on where to see the picture; empty if the terminal shows it."""
        if self._protocol:
            return ""
        elsewhere = (
            "press o to open" if self.can_open else "to see faces in the browser, run `facesets serve --open`"
        )
        return f"  faces: {printable(self._file)}  ({elsewhere})"

    def open(self) -> None:
        """Open the picture in the desktop's viewer."""
        open_picture(self._file)


@contextmanager
def showing_faces() -> Iterator[ShownFaces]:
    """Provide a place for a picture, which is removed at the end, even after a signal."""
    with ended_by_signals(), tempfile.TemporaryDirectory(prefix="facesets-") as folder:
        yield ShownFaces(Path(folder) / "question.png")


def are_one(database: "Database", taken: "NameTaken") -> bool:
    """Ask whether two people with the same name are one person, and show faces of both.

    False without a terminal, and if only Enter is pressed.
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
