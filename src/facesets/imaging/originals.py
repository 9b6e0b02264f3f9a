"""Read photos again long after embedding, accepting only the embedded bytes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import UnreadableImage
from facesets.files import read_regular_file
from facesets.imaging.decode import Decoded, decode_bytes
from facesets.imaging.limits import ABSOLUTE_MAX_PIXELS, MAX_FILE_BYTES
from facesets.records import Images, Pixels


@dataclass(frozen=True, slots=True)
class Picture:
    """An image, or a part of one.

    Attributes
    ----------
    sha256 : str
        Hash of the file's bytes.
    paths : tuple of str
        Paths at which it was found.
    width, height : int
        Size of the upright picture, in pixels; 0 if unknown.
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


def read_decoded(paths: Sequence[str], sha256: str, *, min_edge: int | None = None) -> Decoded:
    """Decode an image from the first of its paths that still holds it.

    Parameters
    ----------
    sha256 : str
        Hex digest of the accepted bytes.
    min_edge : int, optional
        As `decode_bytes` takes it.

    Raises
    ------
    UnreadableImage
        None of the paths holds it; with the reason of the last.
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
            return decode_bytes(data, min_edge=min_edge, max_pixels=ABSOLUTE_MAX_PIXELS)
        reason = "the file changed since it was embedded"
    raise UnreadableImage(reason)


def read_row(images: Images, row: int) -> Pixels:
    """Decode the image in a row of a store; errors as `read_photo`."""
    return read_photo(images.paths[row], images.sha256[row].decode())
