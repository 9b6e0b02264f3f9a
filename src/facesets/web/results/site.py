"""What pages and calls about a result folder work with: the folder as it is now, and pictures."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from facesets.errors import NotFound
from facesets.imaging.originals import Picture
from facesets.operations.grouping.result_now import ResultNow, ResultReader
from facesets.results.manifest import FaceEntry
from facesets.web.crops import CropStore


@dataclass(slots=True)
class ResultSite:
    """A result folder that is served. Safe for several threads."""

    root: Path
    crops: CropStore
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _reader: ResultReader = field(init=False)

    def __post_init__(self) -> None:
        self._reader = ResultReader(self.root)

    def now(self) -> ResultNow:
        """Who is who in the folder as it is now; errors as `read_result`."""
        with self._lock:
            return self._reader.read()

    @contextmanager
    def changing(self) -> Iterator[ResultNow]:
        """The folder as it is now, for one change at a time from here."""
        with self._lock:
            try:
                yield self._reader.read()
            finally:
                self._reader.forget()


def _site(request: Request) -> ResultSite:
    site: ResultSite = request.app.state.site
    return site


ResultDep = Annotated[ResultSite, Depends(_site)]
"""The parameter by which an endpoint gets the folder."""


def id_of(folder: str) -> str:
    """What a person's folder is called in addresses: names hold what addresses must not."""
    return hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def folder_called(now: ResultNow, number: str) -> str:
    """The folder of that id. Raises `NotFound`."""
    folders = (*now.groups, *([now.single_folder] if now.single else []))
    found = next((folder for folder in folders if id_of(folder) == number), None)
    if found is None:
        raise NotFound("There is no such person here any more. The list of people shows who there is.")
    return found


def face_id(face: FaceEntry) -> str:
    """What a face is called in addresses."""
    return face.face.replace("#", "-")


def find_face(now: ResultNow, number: str) -> tuple[str, FaceEntry]:
    """The face of that id, and its folder. Raises `NotFound`."""
    image = number.partition("-")[0]
    for folder, face in now.of_image.get(image, ()):
        if face_id(face) == number:
            return folder, face
    raise NotFound("There is no such face in this folder any more.")


def picture_of(now: ResultNow, folder: str, face: FaceEntry) -> Picture:
    """Where the photo of a face can be read: at its own paths, else where it lies in the result."""
    copies = [str(now.root / place) for place in now.places(folder, face.image)]
    left, top, right, bottom = face.box
    return Picture(face.image, (*face.paths, *copies), 0, 0, (left, top, right, bottom))
