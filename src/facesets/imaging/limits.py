"""Limits on the cost of one picture, so that no file blocks a run."""

import re
import time
from io import BytesIO

from facesets.errors import UnreadableImage

MAX_FILE_BYTES = 1_000_000_000
"""Maximum size of a file; larger ones are refused unread."""

MAX_PIXELS = 179_000_000
"""Default limit: this many pixels are half a gigabyte, and twice that while they are decoded."""

ABSOLUTE_MAX_PIXELS = 700_000_000
"""Absolute limit: libraries count the bytes of a picture in 31 bits."""

MAX_DECODE_S = 30.0
"""Maximum processor seconds per picture; other processes' load does not count."""

_MAX_SCANS = 500
_MAX_SCANNED_PIXELS = 2_500_000_000
"""Maximum pixels over all scans of a JPEG, each of which covers the picture; ten scans are common, and the
largest picture may have thirteen.
"""

_FEW_SCANS = _MAX_SCANNED_PIXELS // MAX_PIXELS
_MAX_SEGMENTS = 100_000

_GIF = b"GIF8"
_GIF_BEFORE_PICTURE = 1_000_000
_GIF_BYTES_A_PIXEL = 2
_SCAN, _END = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")


class BoundedBytes(BytesIO):
    """A file's bytes for a decoder, which can read them until its time is up.

    A decoder cannot be interrupted, but one that hangs keeps reading. Asking for the time costs 0.7
    microseconds, and a picture of 12 megapixels takes from ten to a thousand reads.
    """

    def __init__(self, data: bytes) -> None:
        """Start the clock of this thread, in which the decoder must run."""
        super().__init__(data)
        self._ends_at = time.thread_time() + MAX_DECODE_S

    def read(self, size: int | None = -1, /) -> bytes:
        """Read the next bytes. Raises `UnreadableImage` when the time is up."""
        if time.thread_time() > self._ends_at:
            raise UnreadableImage(f"takes more than {MAX_DECODE_S:.0f} seconds to decode")
        return super().read(size)


def first_frame(data: bytes) -> bytes:
    """Return the bytes of a file needed for its first frame: for a GIF those before the others."""
    if not data.startswith(_GIF):
        return data
    pixels = int.from_bytes(data[6:8], "little") * int.from_bytes(data[8:10], "little")
    end = _GIF_BEFORE_PICTURE + _GIF_BYTES_A_PIXEL * pixels
    return data if len(data) <= end else data[:end]


def require_few_scans(data: bytes, pixels: int) -> None:
    """Refuse a JPEG with too many scans over its pixels.

    Raises
    ------
    UnreadableImage
    """
    # This count is fast, but other parts of a file may hold these bytes by chance.
    if data.count(bytes([0xFF, _SCAN])) <= _FEW_SCANS:
        return
    most = min(_MAX_SCANS, max(_FEW_SCANS, _MAX_SCANNED_PIXELS // max(pixels, 1)))
    if _scans(data, most) > most:
        raise UnreadableImage(f"more than {most} scans of {pixels} pixels take too long to decode")


def _scans(data: bytes, most: int) -> int:
    """Count the scans of a JPEG, stopping if there are too many."""
    scans, position = 0, 2
    for _ in range(_MAX_SEGMENTS):
        marker = _MARKER.search(data, position)
        if marker is None or marker[1][0] == _END or scans > most:
            return scans
        scans += marker[1][0] == _SCAN
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return most + 1
