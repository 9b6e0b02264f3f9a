"""Convert boxes between a picture's stored pixels and its upright form.

Detection looks at upright pictures, as viewers show them; most metadata speaks of stored ones. HEIF and AVIF
turn the picture by properties of their own, which every decoder applies: its output counts as stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from facesets.errors import UnreadableImage
from facesets.files import open_regular_file
from facesets.imaging.decode import DECODING_ERRORS, FORMATS, ON_ITS_SIDE, orientation_of

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 as fractions of the picture, from 0 to 1."""

_TURNED_BY_DECODER = ("HEIF", "AVIF")


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A picture as stored.

    Attributes
    ----------
    orientation
        How it has to be turned to be upright, as EXIF numbers it: 1 to 8.
    width, height
        Pixels, before that.
    """

    orientation: int
    width: int
    height: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """Return width and height of the upright picture."""
        return (self.height, self.width) if self.orientation in ON_ITS_SIDE else (self.width, self.height)


def stored_frame(path: Path) -> StoredFrame:
    """Return a file's size and orientation as stored, from its header.

    Raises
    ------
    UnreadableImage
        The file is missing, forbidden, no picture or damaged; with the reason.
    """
    try:
        with open_regular_file(path) as file, Image.open(file, formats=FORMATS) as image:
            size, orientation = _stored_size(image), orientation_of(image)
            by_decoder = image.format in _TURNED_BY_DECODER
    except UnidentifiedImageError as error:
        raise UnreadableImage("not a supported photo format") from error
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror or error}") from error
    except DECODING_ERRORS as error:
        raise UnreadableImage("damaged: its header cannot be read") from error
    if by_decoder:
        return StoredFrame(1, *(size[::-1] if orientation in ON_ITS_SIDE else size))
    return StoredFrame(orientation if orientation in _UPRIGHT else 1, *size)


def _stored_size(image: Image.Image) -> tuple[int, int]:
    """Return width and height before turning; Pillow gives those of TIFF files after it."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(image.tag_v2[TiffImagePlugin.IMAGEWIDTH]), int(image.tag_v2[TiffImagePlugin.IMAGELENGTH])
    return image.size


# Maps a point of the stored picture to the same point upright. 6 and 8 are each other's inverse, the others
# their own.
_UPRIGHT: Mapping[int, tuple[bool, bool, bool]] = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
"""Whether x and y are exchanged, and whether x and y are then counted from the other side."""


def upright_box(box: Box, orientation: int) -> Box:
    """Convert a box of the stored picture to the upright one."""
    swap, right_to_left, bottom_up = _UPRIGHT.get(orientation, _UPRIGHT[1])
    x1, y1, x2, y2 = (box[1], box[0], box[3], box[2]) if swap else box
    x1, x2 = (1 - x2, 1 - x1) if right_to_left else (x1, x2)
    y1, y2 = (1 - y2, 1 - y1) if bottom_up else (y1, y2)
    return x1, y1, x2, y2


def stored_box(box: Box, orientation: int) -> Box:
    """Convert a box of the upright picture to the stored one: the inverse of `upright_box`."""
    return upright_box(box, {6: 8, 8: 6}.get(orientation, orientation))
