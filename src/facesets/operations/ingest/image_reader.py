"""One batch of files, from the disk to faces and embeddings, by one thread of `index`."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facesets.errors import ServiceFailed, UnreadableImage
from facesets.files import read_regular_file
from facesets.imaging.decode import Decoded, decode_bytes
from facesets.imaging.fingerprint import fingerprint
from facesets.imaging.limits import MAX_FILE_BYTES
from facesets.interfaces import Describer
from facesets.records import Description, Faces, FileRecord, FoundFile, ImageRecord, Wanted
from facesets.stopwatch import Stopwatch
from facesets.store.postgres.claims import Claims
from facesets.store.postgres.library import Library

_CHANGES_AGAIN = -1
"""Size and time of a record that matches no file, so that the next run looks again."""


@dataclass(frozen=True, slots=True)
class Look:
    """What came of one file.

    Attributes
    ----------
    image : ImageRecord or None
        None for a copy of a known image, and when there is a reason.
    is_new : bool
        The image was not known at all; otherwise it gets what it lacked.
    claimed : bool
        Its content is ours until it is committed.
    in_other_hands : bool
        Its content is being worked on elsewhere; look again later.
    is_kept : bool
        What was seen at the path is to be stored.
    """

    found: FoundFile
    file: FileRecord
    image: ImageRecord | None = None
    is_new: bool = True
    claimed: bool = False
    in_other_hands: bool = False
    is_kept: bool = True


class Looker:
    """Reads, hashes, decodes and searches files. May be called from several threads at once."""

    def __init__(
        self, library: Library, describer: Describer, contents: Claims, stopwatch: Stopwatch
    ) -> None:
        """Work for one library with one way of describing pictures."""
        self._library = library
        self._describer = describer
        self._contents = contents
        self._stopwatch = stopwatch

    def look(self, batch: Sequence[FoundFile]) -> list[Look]:
        """Take a batch from the disk to its faces and embeddings; a result a file, in order."""
        looks: list[Look] = []
        pictures: dict[int, tuple[Decoded, Wanted]] = {}
        for found in batch:
            look, picture = self._read(found)
            if picture is not None:
                pictures[len(looks)] = picture
            looks.append(look)
        try:
            described = self._describer.describe(
                [decoded.pixels for decoded, _ in pictures.values()],
                [wanted for _, wanted in pictures.values()],
            )
        except ServiceFailed as error:
            for i in pictures:
                failed = replace(looks[i].file, reason=str(error))
                looks[i] = replace(looks[i], file=failed, is_kept=False)
            return looks
        for (i, (decoded, _)), description in zip(pictures.items(), described, strict=True):
            with self._stopwatch.stage("fingerprint"):
                bits = fingerprint(decoded.pixels)
            looks[i] = replace(looks[i], image=_record(looks[i].file.sha256, decoded, bits, description))
        return looks

    def _read(self, found: FoundFile) -> tuple[Look, tuple[Decoded, Wanted] | None]:
        """Bytes, hash and pixels of one file; no pixels where nothing is lacking or they cannot be had."""
        try:
            with self._stopwatch.stage("read"):
                data = read_regular_file(Path(found.path), max_bytes=MAX_FILE_BYTES)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            record = FileRecord(found.path, _CHANGES_AGAIN, _CHANGES_AGAIN, "", reason)
            # A folder that cannot be listed is told of while that is so, and is no photo to remember.
            is_kept = os.path.lexists(found.path) and not Path(found.path).is_dir()
            return Look(found, record, is_kept=is_kept), None
        with self._stopwatch.stage("hash"):
            sha256 = hashlib.sha256(data).hexdigest()
        record = FileRecord(found.path, found.size, found.mtime_ns, sha256)
        if not self._library.lacking(sha256)[1].anything:
            return Look(found, record), None
        if not self._contents.take([sha256]):
            return Look(found, record, in_other_hands=True), None
        # Whoever had it claimed before us may have stored it since we asked.
        known, wanted = self._library.lacking(sha256)
        if not wanted.anything:
            return Look(found, record, claimed=True), None
        look = Look(found, record, is_new=not known, claimed=True)
        try:
            with self._stopwatch.stage("decode"):
                return look, (decode_bytes(data), wanted)
        except UnreadableImage as error:
            return replace(look, file=replace(record, reason=error.reason)), None


def _record(sha256: str, decoded: Decoded, bits: bytes, description: Description) -> ImageRecord:
    return ImageRecord(
        sha256=sha256,
        width=decoded.pixels.shape[1],
        height=decoded.pixels.shape[0],
        taken=decoded.taken,
        fingerprint=bits,
        faces=Faces.empty(1) if description.faces is None else description.faces,
        clip=description.clip,
        searched=description.faces is not None,
    )
