"""Read photos again long after they were embedded: only the embedded bytes are accepted."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import UnreadableImage
from facesets.files import read_regular_file
from facesets.imaging.decode import Decoded, decode_bytes
from facesets.imaging.limits import MAX_FILE_BYTES, MOST_PIXELS
from facesets.records import Images, Pixels


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, or a part of it.

    Attributes
    ----------
    sha256 : str
        Of the file's bytes.
    paths : tuple of str
        Where it was seen.
    width, height : int
        Of the upright picture, in pixels; 0 where unknown.
    box : tuple of float
        Left, top, right and bottom of the part, in pixels of the upright picture.
    """

    sha256: str
    paths: tuple[str, ...]
    width: int
    height: int
    box: tuple[float, float, float, float]


def read_photo(paths: Sequence[str], sha256: str) -> Pixels:
    """Decode an image from the first of its paths that still holds it; errors as `read_decoded`."""
    return read_decoded(paths, sha256).pixels


def read_decoded(paths: Sequence[str], sha256: str, *, least_edge: int | None = None) -> Decoded:
    """Decode an image from the first of its paths that still holds it.

    Parameters
    ----------
    sha256 : str
        Hex digest of the bytes that will do.
    least_edge : int, optional
        As `decode_bytes` takes it.

    Raises
    ------
    UnreadableImage
        None of the paths does, with the reason of the last.
    """
    reason = "it has no path"
    for path in paths:
        try:
            data = read_regular_file(Path(path), max_bytes=MAX_FILE_BYTES)
        except FileNotFoundError:
            reason = "cannot be read: file not found"
            continue
        except (OSError, ValueError) as error:
            reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
            continue
        if hashlib.sha256(data).hexdigest() == sha256:
            # Its size was checked when it was added.
            return decode_bytes(data, least_edge=least_edge, max_pixels=MOST_PIXELS)
        reason = "the file changed since it was embedded"
    raise UnreadableImage(reason)


def read_row(images: Images, row: int) -> Pixels:
    """Decode the image in a row of a store; errors as `read_photo`."""
    return read_photo(images.paths[row], images.sha256[row].decode())
