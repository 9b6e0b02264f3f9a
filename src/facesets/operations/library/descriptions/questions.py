"""Requests about photos: assembled, announced with their cost, and limited by a budget."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO

import numpy as np

from facesets.descriptions.asking import EDGE, Estimate, PhotoQuestion, Provider
from facesets.errors import UnreadableImage
from facesets.imaging.encode import blurred, outgoing_jpeg
from facesets.imaging.metadata.reader import read_metadata
from facesets.library_records import PendingPhoto
from facesets.operations.ingest.changed_files import FileFailure
from facesets.operations.ingest.stage_run import read_indexed
from facesets.operations.ingest.stages import Photo
from facesets.operations.options.library import DescribeOptions
from facesets.records import Float32
from facesets.result import Result


@dataclass(frozen=True, slots=True)
class KnownOfPhoto:
    """The library's data about a photo.

    Attributes
    ----------
    names : sequence of str
        Names of the people on it, from left to right.
    searched : bool
        Whether the photo was searched for faces.
    faces : array of shape (n, 4)
        Boxes of all faces, of all detectors, in pixels.
    is_whole : bool
        Whether no face of it was forgotten, because the place of such a face is unknown.
    """

    names: Sequence[str]
    searched: bool
    faces: Float32
    is_whole: bool


def question_about(
    photo: PendingPhoto, prompt: str, options: DescribeOptions, known: KnownOfPhoto
) -> PhotoQuestion | FileFailure:
    """Assemble the request about a photo, or return why its file cannot be used."""
    reason = "no file"
    for file in photo.files:
        try:
            seen = read_indexed(file, photo.image.sha256, needs_pixels=True)
            return _question(photo, seen, prompt, options, known)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
        except UnreadableImage as error:
            reason = error.reason
    return FileFailure(photo.files[0].path if photo.files else photo.image.sha256, reason)


def _question(
    photo: PendingPhoto, seen: Photo, prompt: str, options: DescribeOptions, known: KnownOfPhoto
) -> PhotoQuestion:
    if options.blur_faces and not known.searched:
        raise UnreadableImage("face detection has not run, so faces cannot be blurred")
    if options.blur_faces and not known.is_whole:
        raise UnreadableImage("not all of its faces are known, so they cannot all be blurred")
    pixels = blurred(seen.pixels, known.faces) if options.blur_faces else seen.pixels
    jpeg, width, height = outgoing_jpeg(pixels, EDGE)
    notes = [f"{photo.image.width} x {photo.image.height} pixels."]
    if not np.isnat(photo.image.taken):
        notes.append(f"Taken on {str(photo.image.taken).replace('T', ' at ')} by the camera's clock.")
    if known.searched:
        notes.append(f"Faces found: {len(photo.image.faces)}.")
    if options.send_names and known.names:
        notes.append(f"People known by name, from left to right: {', '.join(known.names)}.")
    if options.send_place and seen.data is not None:
        metadata = read_metadata(BytesIO(seen.data), "", now=np.datetime64("now"))
        if metadata.latitude is not None and metadata.longitude is not None:
            notes.append(
                f"Place: {metadata.latitude:.5f}, {metadata.longitude:.5f} (degrees north and east)."
            )
    text = "\n".join([prompt.strip(), "", "Notes about this photo:", *(f"- {note}" for note in notes)])
    return PhotoQuestion(photo.image.sha256, jpeg, width, height, text)


def announcement(
    provider: Provider,
    photos: int,
    options: DescribeOptions,
    cost: Estimate,
    *,
    in_batches: bool,
) -> Result:
    """Describe what sending these photos means."""
    faces = "with every detected face blurred" if options.blur_faces else "with faces visible"
    sends = [
        f"the photo as a JPEG of at most {EDGE} pixels, without metadata, {faces}",
        "its size, the date it was taken, and the number of detected faces",
        "your prompt",
    ]
    withheld = ["names of files and folders"]
    (sends if options.send_names else withheld).append("names of the people in it")
    (sends if options.send_place else withheld).append("the place where it was taken")
    return Result(
        photos=photos,
        to=provider.place,
        provider=provider.name,
        model=provider.model.name,
        leaves=not provider.is_local,  # for another machine
        in_batches=in_batches,
        sends=sends,
        withheld=withheld,
        # The expected cost; None if the model has no known price.
        expected_usd=None if cost.expected is None else float(cost.expected),
        most_usd=None if cost.most is None else float(cost.most),
        priced=provider.model.priced_on,
        max_cost_usd=options.max_cost,  # where the run ends
    )


class Budget:
    """A limit in US dollars for requests; None is no limit."""

    def __init__(self, limit: Decimal | None) -> None:
        """Start with nothing spent."""
        self._limit = limit
        self._under_way = Decimal(0)
        self.spent = Decimal(0)
        self.exhausted = False
        """Whether the limit stopped a request."""

    @property
    def under_way(self) -> Decimal:
        """The maximum cost of requests not settled yet."""
        return self._under_way

    def take(self, most: Decimal | None) -> bool:
        """Reserve a maximum cost; return whether the budget allows it."""
        amount = most or Decimal(0)
        if self._limit is not None and self.spent + self._under_way + amount > self._limit:
            return False
        self._under_way += amount
        return True

    def give_back(self, most: Decimal | None) -> None:
        """Release the reserved cost of something that was not sent."""
        self._under_way -= most or Decimal(0)

    def settle(self, most: Decimal | None, cost: Decimal | None) -> None:
        """Record the actual cost, or the maximum if it is unknown."""
        amount = most or Decimal(0)
        self._under_way -= amount
        self.spent += amount if cost is None else cost
