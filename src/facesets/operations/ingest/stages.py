"""What is found out about a photo beyond its faces and its embedding: each kind is one stage.

The stages of a run look at each photo while it is in memory, so that it is read and decoded once. A stage by
itself looks at photos that the library knows already; see `stage_run`.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO

from facesets.errors import UnreadableImage
from facesets.files import open_regular_file
from facesets.imaging.decode import Decoded
from facesets.records import Finding, ImageRecord, Pixels

Look = Callable[["Photo", ImageRecord], ImageRecord]
"""Returns the record with more in it. Its faces are in pixels of `Photo.pixels`, which may be reduced."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo as stages see it.

    Attributes
    ----------
    path : str
        Where its file is.
    data : bytes or None
        All of the file; None where no stage needs it.
    decoded : Decoded or None
        The picture; None where no stage needs it.
    others : tuple of str
        Further paths of the same content.
    """

    path: str
    data: bytes | None = None
    decoded: Decoded | None = None
    others: tuple[str, ...] = ()

    @property
    def pixels(self) -> Pixels:
        """The upright picture, which may be reduced."""
        if self.decoded is None:
            raise ValueError("a stage that did not say so needs pixels")
        return self.decoded.pixels

    def open(self) -> IO[bytes]:
        """The file, to read as much of it as is needed. Raises `OSError`."""
        return open_regular_file(Path(self.path)) if self.data is None else io.BytesIO(self.data)


@dataclass(frozen=True, slots=True)
class Stage:
    """One kind of looking at photos.

    Attributes
    ----------
    name : str
        What users call it.
    version : str
        What makes its findings: where it changes, photos are pending again.
    look : function
        Adds what it finds to the record, as a `Finding` of its name. It raises `UnreadableImage` for what is
        wrong with the photo, and may be called from several threads at once.
    needs_pixels : bool
        Otherwise the file will do.
    of_faces : bool
        What it finds belongs to the faces that were found: it looks at no photo whose faces are known and
        not at hand.
    """

    name: str
    version: str
    look: Look
    needs_pixels: bool = True
    of_faces: bool = False


def looked_at(photo: Photo, image: ImageRecord, stages: Sequence[Stage]) -> ImageRecord:
    """The record of a photo after some stages, in their order; one that fails leaves its reason."""
    for stage in stages:
        try:
            image = stage.look(photo, image)
        except UnreadableImage as error:
            image = image.with_finding(stage.name, Finding(stage.version, reason=error.reason))
    return image


def at_most(stage: Stage, threads: int) -> Stage:
    """The same stage, in which so many threads at a time look at pixels: models take memory for each."""
    if not stage.needs_pixels:
        return stage
    free = BoundedSemaphore(threads)

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:
        with free:
            return stage.look(photo, image)

    return replace(stage, look=look)
