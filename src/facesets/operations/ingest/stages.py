"""Analysis steps: results about a photo beyond its faces and its embedding.

The steps of a run process each photo while it is in memory, so that it is read and decoded once. A single
step can also process photos that the library knows already; see `stage_run`.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO, TYPE_CHECKING, Protocol

import numpy as np

from facesets.errors import UnreadableImage
from facesets.face_attributes import FaceAttributes
from facesets.files import open_regular_file
from facesets.imaging.decode import Decoded
from facesets.records import Finding, Float32, ImageRecord, Pixels

if TYPE_CHECKING:
    from facesets.imaging.bodies import PhotoBodies


from datetime import UTC, datetime

from facesets.imaging.bodies import SeenBodies, bodies_of_photo
from facesets.imaging.metadata.reader import READER_VERSION, read_metadata
from facesets.imaging.metadata.record import UNKNOWN_TIME

Look = Callable[["Photo", ImageRecord], ImageRecord]
"""Returns the record with added results. Its faces are in pixels of `Photo.pixels`, which may be reduced."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo as analysis steps see it.

    Attributes
    ----------
    path : str
        The path of its file.
    data : bytes or None
        The content of the file; None if no step needs it.
    decoded : Decoded or None
        The picture; None if no step needs it.
    others : tuple of str
        Further paths of the same content.
    """

    path: str
    data: bytes | None = None
    decoded: Decoded | None = None
    others: tuple[str, ...] = ()

    @property
    def pixels(self) -> Pixels:
        """The upright image, possibly reduced in size."""
        if self.decoded is None:
            raise ValueError("a step that did not declare it needs pixels")
        return self.decoded.pixels

    def open(self) -> IO[bytes]:
        """Open the file for reading. Raises `OSError`."""
        return open_regular_file(Path(self.path)) if self.data is None else io.BytesIO(self.data)


@dataclass(frozen=True, slots=True)
class Stage:
    """One analysis step.

    Attributes
    ----------
    name : str
        The name for users.
    version : str
        The source of its findings; if it changes, photos become pending again.
    look : function
        Adds its results to the record, as a `Finding` with the step's name. It raises `UnreadableImage` for a
        faulty photo, and may be called from several threads at once.
    needs_pixels : bool
        Whether it needs the decoded picture; otherwise the file is enough.
    of_faces : bool
        Its results belong to the detected faces: it processes no photo with known faces that
        not at hand.
    """

    name: str
    version: str
    look: Look
    needs_pixels: bool = True
    of_faces: bool = False


def looked_at(photo: Photo, image: ImageRecord, stages: Sequence[Stage]) -> ImageRecord:
    """Run some steps on a photo, in order, and return its record; a step that fails records its reason."""
    for stage in stages:
        try:
            image = stage.look(photo, image)
        except UnreadableImage as error:
            image = image.with_finding(stage.name, Finding(stage.version, reason=error.reason))
    return image


def at_most(stage: Stage, threads: int) -> Stage:
    """Limit how many threads use the step's model at a time, because each takes memory."""
    if not stage.needs_pixels:
        return stage
    free = BoundedSemaphore(threads)

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:
        with free:
            return stage.look(photo, image)

    return replace(stage, look=look)


STAGE = "attributes"


class AttributeModel(Protocol):
    """Estimates age and sex of faces."""

    @property
    def version(self) -> str:
        """Identify the weights."""
        ...

    def of(self, pixels: Pixels, box: Float32, body: Float32 | None = None) -> FaceAttributes:
        """Estimate age and sex of the faces in one image, given their boxes and body boxes, (n, 4)."""
        ...


def attributes_stage(model: AttributeModel) -> Stage:
    """Make the step that estimates age and sex of each face, using its body if the same run found it."""

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:
        if not image.searched:
            return image
        found = model.of(photo.pixels, image.faces.box, _bodies(photo, image))
        faces = replace(image.faces, age=found.age, male=found.male)
        return replace(image, faces=faces).with_finding(STAGE, Finding(model.version, found))

    return Stage(STAGE, model.version, look, of_faces=True)


def _bodies(photo: Photo, image: ImageRecord) -> Float32 | None:
    """Return the body of each face, in pixels of the image that steps see; None without body detection."""
    finding = image.findings.get("bodies")
    if finding is None or finding.value is None or photo.decoded is None:
        return None
    bodies: PhotoBodies = finding.value
    of_face = np.full((len(image.faces), 4), np.nan, np.float32)
    known = np.flatnonzero(bodies.face >= 0)
    of_face[bodies.face[known]] = bodies.box[known] / np.tile(np.array(photo.decoded.scale, np.float32), 2)
    return of_face


_MATCHING = 1
"""Version of the matching of faces to bodies, and of the description of colours."""


class BodyFinder(Protocol):
    """Finds the people in an image."""

    @property
    def identity(self) -> str:
        """Identify the weights and settings."""
        ...

    def detect(self, pixels: Pixels) -> SeenBodies:
        """Find the people in one upright image. Safe to call from several threads."""
        ...


def bodies_stage(finder: BodyFinder) -> Stage:
    """Make the step that finds bodies and matches them to faces."""
    version = f"{finder.identity} {_MATCHING}"

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:
        if photo.decoded is None:
            raise ValueError("bodies are found in pixels")
        found = bodies_of_photo(
            finder.detect(photo.pixels), image.faces.box, photo.pixels, photo.decoded.scale
        )
        return image.with_finding("bodies", Finding(version, found))

    return Stage("bodies", version, look, of_faces=True)


def metadata_stage(clock: Callable[[], np.datetime64], *, trust_mtime: bool = False) -> Stage:
    """Make the step `metadata`, which also sets when the photo was taken.

    Parameters
    ----------
    clock : callable
        Returns the current time in UTC; photos with a later time come from wrong clocks.
    trust_mtime : bool
        Without other data, use the time of the file's last change.
    """

    def look(photo: Photo, image: ImageRecord) -> ImageRecord:
        changed = _changed(photo.path) if trust_mtime else UNKNOWN_TIME
        with photo.open() as file:
            found = read_metadata(file, photo.path, now=clock(), changed=changed, others=photo.others)
        return replace(image, taken=found.taken.astype("M8[s]")).with_finding(
            "metadata", Finding(READER_VERSION, found)
        )

    return Stage("metadata", READER_VERSION, look, needs_pixels=False)


def _changed(path: str) -> np.datetime64:
    """Return when a file was last modified; NaT if it no longer exists."""
    try:
        changed = datetime.fromtimestamp(Path(path).stat().st_mtime, UTC)
        return np.datetime64(changed.astimezone().replace(tzinfo=None), "us")
    except (OSError, ValueError, OverflowError):
        return UNKNOWN_TIME
