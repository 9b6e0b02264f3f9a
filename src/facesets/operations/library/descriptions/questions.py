"""From a photo of the library to what is sent of it: nothing else leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from facesets.descriptions.asking import EDGE, PhotoQuestion
from facesets.errors import UnreadableImage
from facesets.imaging.metadata.reader import read_metadata
from facesets.imaging.outgoing import blurred, outgoing_jpeg
from facesets.library_records import PendingPhoto
from facesets.operations.ingest.changed_files import FileFailure
from facesets.operations.ingest.stage_run import read_indexed
from facesets.operations.ingest.stages import Photo
from facesets.records import Float32


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be sent of a photo, or is to be hidden, beyond the picture itself."""

    blur_faces: bool = False
    names: bool = False
    place: bool = False


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
    photo: PendingPhoto, prompt: str, allowed: Allowed, known: KnownOfPhoto
) -> PhotoQuestion | FileFailure:
    """What is sent of a photo; why nothing can be, where its file is gone, changed or unreadable."""
    reason = "no file leads to it"
    for file in photo.files:
        try:
            seen = read_indexed(file, photo.image.sha256, needs_pixels=True)
            return _question(photo, seen, prompt, allowed, known)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
        except UnreadableImage as error:
            reason = error.reason
    return FileFailure(photo.files[0].path if photo.files else photo.image.sha256, reason)


def _question(
    photo: PendingPhoto, seen: Photo, prompt: str, allowed: Allowed, known: KnownOfPhoto
) -> PhotoQuestion:
    if allowed.blur_faces and not known.searched:
        raise UnreadableImage("it was not searched for faces, so that none can be blurred")
    if allowed.blur_faces and not known.is_whole:
        raise UnreadableImage("not all faces on it are known, so that they cannot all be blurred")
    pixels = blurred(seen.pixels, known.faces) if allowed.blur_faces else seen.pixels
    jpeg, width, height = outgoing_jpeg(pixels, EDGE)
    notes = [f"{photo.image.width} x {photo.image.height} pixels."]
    if not np.isnat(photo.image.taken):
        notes.append(f"Taken on {str(photo.image.taken).replace('T', ' at ')} by the camera's clock.")
    if known.searched:
        notes.append(f"Faces found: {len(photo.image.faces)}.")
    if allowed.names and known.names:
        notes.append(f"People known by name, from left to right: {', '.join(known.names)}.")
    if allowed.place and seen.data is not None:
        said = read_metadata(BytesIO(seen.data), "", now=np.datetime64("now"))
        if said.latitude is not None and said.longitude is not None:
            notes.append(f"Place: {said.latitude:.5f}, {said.longitude:.5f} (degrees north and east).")
    text = "\n".join([prompt.strip(), "", "Notes about this photo:", *(f"- {note}" for note in notes)])
    return PhotoQuestion(photo.image.sha256, jpeg, width, height, text)
