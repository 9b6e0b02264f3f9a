"""What is sent of a photo: put together, announced with its cost, and kept within a limit."""

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
    """What the library knows of a photo.

    Attributes
    ----------
    names : sequence of str
        Of the people on it, from left to right.
    searched : bool
        Whether it was searched for faces.
    faces : array of shape (n, 4)
        Where all faces are, however they were found, in pixels.
    is_whole : bool
        No face of it was forgotten: nobody knows where that is.
    """

    names: Sequence[str]
    searched: bool
    faces: Float32
    is_whole: bool


def question_about(
    photo: PendingPhoto, prompt: str, options: DescribeOptions, known: KnownOfPhoto
) -> PhotoQuestion | FileFailure:
    """What is sent of a photo; why nothing can be, where its file is gone, changed or unreadable."""
    reason = "no file leads to it"
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
        raise UnreadableImage("it was not searched for faces, so that none can be blurred")
    if options.blur_faces and not known.is_whole:
        raise UnreadableImage("not all faces on it are known, so that they cannot all be blurred")
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
        said = read_metadata(BytesIO(seen.data), "", now=np.datetime64("now"))
        if said.latitude is not None and said.longitude is not None:
            notes.append(f"Place: {said.latitude:.5f}, {said.longitude:.5f} (degrees north and east).")
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
    """What sending so many photos means."""
    faces = "with every face that was found blurred" if options.blur_faces else "with faces as they are"
    sends = [
        f"the picture as a JPEG of at most {EDGE} pixels, without what cameras write into files, {faces}",
        "its size, when it was taken, and how many faces were found on it",
        "your prompt",
    ]
    withheld = ["names of files and folders"]
    (sends if options.send_names else withheld).append("names of the people on it, as the library knows them")
    (sends if options.send_place else withheld).append("the place where it was taken, as the camera noted it")
    return Result(
        photos=photos,
        to=provider.place,
        provider=provider.name,
        model=provider.model.name,
        leaves=not provider.is_here,  # for another machine
        in_batches=in_batches,
        sends=sends,
        withheld=withheld,
        # What it will cost; None where the model has no known price.
        expected_usd=None if cost.expected is None else float(cost.expected),
        most_usd=None if cost.most is None else float(cost.most),
        priced=provider.model.priced_on,
        max_cost_usd=options.max_cost,  # where the run ends
    )


class Budget:
    """A limit in US dollars that what is sent never passes; none for None."""

    def __init__(self, limit: Decimal | None) -> None:
        """Nothing is spent yet."""
        self._limit = limit
        self._under_way = Decimal(0)
        self.spent = Decimal(0)
        self.exhausted = False
        """Whether more was wanted than the limit allows."""

    @property
    def under_way(self) -> Decimal:
        """What was sent and not paid yet can cost at most."""
        return self._under_way

    def take(self, most: Decimal | None) -> bool:
        """Whether something may be sent that costs so much at most; it is under way then."""
        amount = most or Decimal(0)
        if self._limit is not None and self.spent + self._under_way + amount > self._limit:
            return False
        self._under_way += amount
        return True

    def give_back(self, most: Decimal | None) -> None:
        """Note that something was not sent after all."""
        self._under_way -= most or Decimal(0)

    def settle(self, most: Decimal | None, cost: Decimal | None) -> None:
        """Note what something cost in the end; at most, where nobody knows."""
        amount = most or Decimal(0)
        self._under_way -= amount
        self.spent += amount if cost is None else cost
