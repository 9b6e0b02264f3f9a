"""One batch of files, from the disk to faces and embeddings, by one thread."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from facesets.errors import ServiceFailed, UnreadableImage
from facesets.file_records import FileRecord, FoundFile
from facesets.files import read_regular_file
from facesets.imaging.decode import Decoded, decode_bytes
from facesets.imaging.duplicates import fingerprint
from facesets.imaging.limits import MAX_FILE_BYTES, MAX_PIXELS
from facesets.interfaces import Describer
from facesets.machine import memory_bytes
from facesets.operations.ingest.stages import Photo, Stage, looked_at
from facesets.operations.options.start import DetectionOptions
from facesets.records import Description, Faces, ImageRecord, Wanted
from facesets.stopwatch import Stopwatch

_CHANGES_AGAIN = -1
"""Size and time of a record that match no file, so that the next run reads the file again."""
_MIN_EDGE_IN_INPUTS = 3
"""Minimum longer edge of a reduced picture, in edges of the detector's input. A face of 40 pixels in that
input, about the smallest that is reliably found, then still has the recognizer's 112 pixels."""

Place: TypeAlias = tuple[int, int]
"""Number of a batch, and of a file in it: an earlier file has the smaller one."""


class PictureRoom:
    """Memory for decoded images. May be used from several threads at once."""

    def __init__(self, most_bytes: int | None = None) -> None:
        """Use at most this many bytes; by default half of the machine's memory."""
        self._most = memory_bytes() // _SHARE if most_bytes is None else most_bytes
        self._used = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Reserve memory for the block, waiting if needed; a single image always fits."""
        with self._changed:
            self._changed.wait_for(lambda: not self._used or self._used + size <= self._most)
            self._used += size
            # A finished thread wakes a waiting one, which wakes the next if there is room left.
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify()


@dataclass(frozen=True, slots=True)
class ContentClaim:
    """The task for the content of a file.

    Attributes
    ----------
    wanted : Wanted
        The wanted results; none for a copy of a known image.
    is_new : bool
        The image is new; otherwise it lacks something.
    claimed : bool
        This run holds the claim on the content until it is committed.
    in_other_hands : bool
        Another run is processing the content; check again later.
    """

    wanted: Wanted
    is_new: bool = True
    claimed: bool = False
    in_other_hands: bool = False


_UNREAD = ContentClaim(Wanted(faces=False))


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The result of one file.

    Attributes
    ----------
    image : ImageRecord or None
        None for a copy of a known image, and when there is a reason.
    is_stored : bool
        Whether to store the record of the path.
    """

    found: FoundFile
    file: FileRecord
    image: ImageRecord | None = None
    claim: ContentClaim = _UNREAD
    is_stored: bool = True


class ImageReader:
    """Reads, hashes, decodes and analyses files. May be called from several threads at once."""

    def __init__(
        self,
        describer: Describer,
        claim: Callable[[str, Place], ContentClaim],
        stages: Sequence[Stage],
        stopwatch: Stopwatch,
        *,
        fast_decode: bool,
        room: PictureRoom | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """Use one describer.

        Parameters
        ----------
        claim : callable
            Returns the task for a content, given its hash and the place of the file.
        stages : sequence of Stage
            Further steps for each described picture.
        fast_decode : bool
            Whether large JPEGs may be decoded at a half, a quarter or an eighth.
        room : PictureRoom, optional
            The memory for decoded pictures.
        max_pixels : int
            Larger pictures are rejected.
        """
        self._describer = describer
        self._claim = claim
        self._stages = stages
        self._stopwatch = stopwatch
        self._room = room or PictureRoom()
        self._least_edge = _least_edge(describer) if fast_decode else None
        self._max_pixels = max_pixels

    def read(self, number: int, batch: Sequence[FoundFile]) -> list[ReadResult]:
        """Read a batch of files and find faces and embeddings; return one result per file, in order.

        Raises
        ------
        CannotInfer, Unreachable
            A model failed, or the service became unavailable.
        """
        results: list[ReadResult] = []
        files: dict[int, bytes] = {}
        for place, found in enumerate(batch):
            result, data = self._read(found, (number, place))
            if data is not None:
                files[place] = data
            results.append(result)
        with self._room.taken(DECODED * sum(map(len, files.values()))):
            return self._described(results, files)

    def _described(self, results: list[ReadResult], files: Mapping[int, bytes]) -> list[ReadResult]:
        """Add faces and embeddings to the results of files that need them."""
        pictures: dict[int, Decoded] = {}
        for place, data in files.items():
            try:
                with self._stopwatch.stage("decode"):
                    pictures[place] = decode_bytes(
                        data, min_edge=self._least_edge, max_pixels=self._max_pixels
                    )
            except UnreadableImage as error:
                refused = replace(results[place].file, reason=error.reason)
                results[place] = replace(results[place], file=refused)
        try:
            described = self._describer.describe(
                [decoded.pixels for decoded in pictures.values()],
                [results[place].claim.wanted for place in pictures],
            )
        except ServiceFailed as error:
            for place in pictures:
                failed = replace(results[place].file, reason=str(error))
                results[place] = replace(results[place], file=failed, is_stored=False)
            return results
        for (place, decoded), description in zip(pictures.items(), described, strict=True):
            photo = Photo(results[place].file.path, files[place], decoded)
            image = self._image(results[place], photo, decoded, description)
            results[place] = replace(results[place], image=image)
        return results

    def _read(self, found: FoundFile, place: Place) -> tuple[ReadResult, bytes | None]:
        """Read one file with its bytes; none if not needed or unreadable."""
        try:
            with self._stopwatch.stage("read"):
                data = read_regular_file(Path(found.path), max_bytes=MAX_FILE_BYTES)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            record = FileRecord(found.path, _CHANGES_AGAIN, _CHANGES_AGAIN, "", reason)
            return ReadResult(found, record, is_stored=os.path.lexists(found.path)), None
        with self._stopwatch.stage("hash"):
            sha256 = hashlib.sha256(data).hexdigest()
        record = FileRecord(found.path, found.size, found.mtime_ns, sha256)
        result = ReadResult(found, record, claim=self._claim(sha256, place))
        is_wanted = result.claim.wanted.anything and not result.claim.in_other_hands
        return result, data if is_wanted else None

    def _image(
        self, result: ReadResult, photo: Photo, decoded: Decoded, description: Description
    ) -> ImageRecord:
        with self._stopwatch.stage("fingerprint"):
            bits = fingerprint(decoded.pixels)
        image = ImageRecord(
            sha256=result.file.sha256,
            width=decoded.width,
            height=decoded.height,
            # A step may need it.
            taken=np.datetime64("NaT", "s"),
            fingerprint=bits,
            faces=Faces.empty(1) if description.faces is None else description.faces,
            clip=description.clip,
            searched=description.faces is not None,
        )
        # A known photo that lacks only its embedding has faces, which were not detected again.
        with_faces = image.searched or result.claim.is_new
        stages = [stage for stage in self._stages if with_faces or not stage.of_faces]
        with self._stopwatch.stage("stages"):
            image = looked_at(photo, image, stages)
        return replace(image, faces=image.faces.scaled(*decoded.scale))


def _least_edge(describer: Describer) -> int:
    # A service does not report the size of its detector's input.
    known = describer.faces_from.det_size if describer.faces_from is not None else 0
    return _MIN_EDGE_IN_INPUTS * (known or DetectionOptions().det_size)


_SHARE = 2
"""Divisor of the machine's memory that gives the share for pictures."""

DECODED = 10
"""Size of a picture relative to its file."""
