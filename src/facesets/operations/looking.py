"""One batch of files, from the disk to its faces, by one thread of `index`."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facesets.errors import ServiceFailed, UnreadableImage
from facesets.files import read_regular_file
from facesets.imaging.decode import MAX_FILE_BYTES, Decoded, decode_bytes
from facesets.imaging.fingerprint import fingerprint
from facesets.interfaces import Embedder
from facesets.records import FileRecord, FoundFile, ImageRecord
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
    claimed: bool = False
    in_other_hands: bool = False
    is_kept: bool = True


class Looker:
    """Reads, hashes, decodes and searches files. May be called from several threads at once."""

    def __init__(self, library: Library, embedder: Embedder, contents: Claims) -> None:
        """Work for one library with one way of finding faces."""
        self._library = library
        self._embedder = embedder
        self._contents = contents

    def look(self, batch: Sequence[FoundFile]) -> list[Look]:
        """Take a batch from the disk to its faces; a result a file, in order."""
        looks: list[Look] = []
        pictures: dict[int, Decoded] = {}
        for found in batch:
            look, decoded = self._read(found)
            if decoded is not None:
                pictures[len(looks)] = decoded
            looks.append(look)
        try:
            faces = self._embedder.embed([decoded.pixels for decoded in pictures.values()])
        except ServiceFailed as error:
            for i in pictures:
                failed = replace(looks[i].file, reason=str(error))
                looks[i] = replace(looks[i], file=failed, is_kept=False)
            return looks
        for (i, decoded), of_picture in zip(pictures.items(), faces, strict=True):
            image = ImageRecord(
                sha256=looks[i].file.sha256,
                width=decoded.pixels.shape[1],
                height=decoded.pixels.shape[0],
                taken=decoded.taken,
                fingerprint=fingerprint(decoded.pixels),
                faces=of_picture,
            )
            looks[i] = replace(looks[i], image=image)
        return looks

    def _read(self, found: FoundFile) -> tuple[Look, Decoded | None]:
        """Bytes, hash and pixels of one file; no pixels where they are known or cannot be had."""
        try:
            data = read_regular_file(Path(found.path), max_bytes=MAX_FILE_BYTES)
        except OSError as error:
            reason = f"cannot be read: {error.strerror or error}"
            record = FileRecord(found.path, _CHANGES_AGAIN, _CHANGES_AGAIN, "", reason)
            return Look(found, record, is_kept=os.path.lexists(found.path)), None
        sha256 = hashlib.sha256(data).hexdigest()
        record = FileRecord(found.path, found.size, found.mtime_ns, sha256)
        if self._library.has_image(sha256):
            return Look(found, record), None
        if not self._contents.take([sha256]):
            return Look(found, record, in_other_hands=True), None
        # Whoever had it claimed before us may have stored it since we asked.
        if self._library.has_image(sha256):
            return Look(found, record, claimed=True), None
        try:
            return Look(found, record, claimed=True), decode_bytes(data)
        except UnreadableImage as error:
            return Look(found, replace(record, reason=error.reason), claimed=True), None
