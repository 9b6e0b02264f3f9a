"""Decode files to upright RGB pixels; hostile input costs one picture and bounded memory."""

import struct
import threading
import warnings
import weakref
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from pillow_heif import register_heif_opener

from facesets.errors import UnreadableImage
from facesets.files import read_regular_file
from facesets.imaging.limits import MAX_FILE_BYTES, MAX_PIXELS, BoundedBytes, first_frame, require_few_scans
from facesets.records import Pixels

Image.init()
register_heif_opener()
# Our own limit is checked on the header, before any pixel is decoded. Pillow's would only warn.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns of odd metadata; what matters of it ends up as a reason.
warnings.filterwarnings("ignore", module=r"PIL\.")

LARGE_PIXELS = 40_000_000
"""Pictures with more pixels are decoded one at a time, for any number of threads."""

SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"),
        *(".heic", ".heif", ".hif", ".avif"),
    }
)
"""Suffixes, in lower case, of files that count as images when a folder is listed."""

RAW_SUFFIXES = frozenset(
    {
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".k25"),
        *(".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl"),
        *(".sr2", ".srf", ".srw", ".x3f"),
    }
)
VIDEO_SUFFIXES = frozenset(
    {
        *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv"),
        *(".vob", ".webm", ".wmv"),
    }
)
"""Suffixes of files that are counted as passed over."""

_one_large = threading.Lock()
_ROWS_AT_A_TIME = 256

# Cameras put previews behind the picture; Pillow then calls the file a multi-picture object.
_JPEGS = ("JPEG", "MPO")
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "GIF", "HEIF", "AVIF")

# Exceptions of Pillow and its plugins for broken files, found by feeding them such files.
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)

# EXIF orientation -> function that turns stored pixels upright, into other pixels.
_UPRIGHT: dict[int, Callable[[Pixels, Pixels], Any]] = {
    2: lambda stored, into: cv2.flip(stored, 1, into),
    3: lambda stored, into: cv2.rotate(stored, cv2.ROTATE_180, into),
    4: lambda stored, into: cv2.flip(stored, 0, into),
    5: cv2.transpose,
    6: lambda stored, into: cv2.rotate(stored, cv2.ROTATE_90_CLOCKWISE, into),
    7: lambda stored, into: cv2.rotate(cv2.transpose(stored), cv2.ROTATE_180, into),
    8: lambda stored, into: cv2.rotate(stored, cv2.ROTATE_90_COUNTERCLOCKWISE, into),
}

ON_ITS_SIDE = (5, 6, 7, 8)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture in memory.

    Attributes
    ----------
    pixels : uint8 array of shape (h, w, 3)
        RGB, EXIF orientation applied.
    width, height : int
        Of the full upright picture. `pixels` has fewer only if a reduced picture was requested.
    """

    pixels: Pixels
    width: int
    height: int

    @property
    def scale(self) -> tuple[float, float]:
        """Return the factors, across and down, from coordinates in `pixels` to those of the picture."""
        height, width = self.pixels.shape[:2]
        return self.width / width, self.height / height


def decode(path: str | Path) -> Decoded:
    """Read and decode one file.

    Raises
    ------
    UnreadableImage
        The file is missing, forbidden, not a picture, damaged, or too large; with the reason.
    """
    try:
        data = read_regular_file(Path(path), max_bytes=MAX_FILE_BYTES)
    except OSError as error:
        raise UnreadableImage(f"cannot be read: {error.strerror or error}") from error
    return decode_bytes(data)


def decode_bytes(data: bytes, *, min_edge: int | None = None, max_pixels: int = MAX_PIXELS) -> Decoded:
    """Decode the bytes of one file: the first frame, upright, as 8-bit RGB.

    Transparent parts become white, 16-bit and floating-point pictures are scaled to 8 bits.

    Parameters
    ----------
    min_edge : int, optional
        A JPEG may be decoded at a half, a quarter or an eighth if its longer edge keeps at least this many
        pixels; the decoder then computes only those. Without it pictures are decoded in full.
    max_pixels : int
        Larger pictures are refused by their header, before any pixel is decoded.

    Raises
    ------
    UnreadableImage
        Not a picture of a known format, damaged, or beyond what one picture may cost; with the reason.
    """
    if not data:
        raise UnreadableImage("the file is empty")
    try:
        with Image.open(BoundedBytes(first_frame(data)), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise UnreadableImage(
                    f"{image.width}×{image.height} pixels exceed the limit of {max_pixels / 1e6:g} million"
                )
            if image.format in _JPEGS:
                require_few_scans(data, image.width * image.height)
            with _one_large if image.width * image.height > LARGE_PIXELS else nullcontext():
                stored = _pixels(image, data, _reduction(image, min_edge))
                # Only now: for some formats Pillow turns the picture while loading it, and then reports that.
                orientation = orientation_of(image)
                pixels = _upright(stored, orientation)
            width, height = image.size[::-1] if orientation in ON_ITS_SIDE else image.size
    except UnidentifiedImageError as error:
        raise UnreadableImage("not a supported photo format") from error
    except DECODING_ERRORS as error:
        raise UnreadableImage(f"damaged: {_first_line(error)}") from error
    return Decoded(pixels, width, height)


def _upright(stored: Pixels, orientation: int) -> Pixels:
    if orientation not in _UPRIGHT:
        return stored
    height, width = stored.shape[:2]
    if orientation in ON_ITS_SIDE:
        height, width = width, height
    upright = picture_memory.take(stored.size).reshape(height, width, 3)
    _UPRIGHT[orientation](stored, upright)
    return upright


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


def orientation_of(image: Image.Image) -> int:
    """Return a picture's EXIF orientation; broken metadata counts as none."""
    try:
        exif = image.getexif()
    except DECODING_ERRORS:
        return 1
    orientation: int = exif.get(ExifTags.Base.Orientation, 1)
    return orientation


def _reduction(image: Image.Image, min_edge: int | None) -> int:
    """Return the factor by which a JPEG may be reduced while it is decoded: 1, 2, 4 or 8."""
    if min_edge is None:
        return 1
    return next((part for part in (8, 4, 2) if max(image.size) >= min_edge * part), 1)


def _pixels(image: Image.Image, data: bytes, reduction: int) -> Pixels:
    """Return stored pixels as RGB, by Pillow, or by simplejpeg: the same bytes three times as fast."""
    if image.format in _JPEGS and image.mode == "RGB":
        # The decoder takes the smallest of its sizes that reaches this one.
        width, height = (-(-edge // reduction) for edge in image.size)
        try:
            fast: Pixels = simplejpeg.decode_jpeg(
                data,
                "RGB",
                min_height=height if reduction > 1 else 0,
                min_width=width if reduction > 1 else 0,
                min_factor=1,
                strict=True,
                buffer=picture_memory.take(height * width * 3),
            )
        except ValueError:
            # Strict refuses what libjpeg merely warns of; Pillow decides whether that is a picture.
            pass
        else:
            return fast
    image.load()
    return np.asarray(_rgb(image))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    return _on_white(image) if image.has_transparency_data else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Flatten a picture with transparent parts, by strips, as whole copies would add up."""
    flat = Image.new("RGB", image.size, "white")
    for top in range(0, image.height, _ROWS_AT_A_TIME):
        box = (0, top, image.width, min(top + _ROWS_AT_A_TIME, image.height))
        strip = image.crop(box).convert("RGBA")
        flat.paste(strip.convert("RGB"), box, strip.getchannel("A"))
    return flat


def _to_8_bit(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale gray values of any depth to uint8, by the smallest common full scale that holds all."""
    peak = float(np.nanmax(np.where(np.isfinite(values), values, 0), initial=0))
    if values.dtype.kind == "f":
        usual: tuple[float, ...] = (1, 255, 65535)
    else:
        usual = (65535,) if values.dtype.itemsize == 2 else (255, 65535)
    full = next((scale for scale in usual if peak <= scale), peak)
    scaled = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _ROWS_AT_A_TIME):
        strip = values[top : top + _ROWS_AT_A_TIME].astype(np.float64)
        finite = np.nan_to_num(strip, posinf=0.0, neginf=0.0).clip(min=0)
        scaled[top : top + _ROWS_AT_A_TIME] = finite * (255 / full)
    return scaled


_MIN_BYTES = 4_000_000
"""Minimum size of reused memory: smaller pictures cost the allocator nothing."""

_MAX_FREE_BYTES = 150_000_000
"""Maximum memory retained for later pictures; about four of twelve megapixels."""


class PictureMemory:
    """Memory for pictures, reclaimed when the last array that uses it is deleted.

    May be used from several threads at once.
    """

    def __init__(self, max_free_bytes: int = _MAX_FREE_BYTES) -> None:
        """Start without free memory."""
        self._most_free_bytes = max_free_bytes
        # Re-entrant: the garbage collector may give memory back while this very thread holds the lock.
        self._lock = threading.RLock()
        self._free: list[Pixels] = []

    @property
    def free_bytes(self) -> int:
        """Return the bytes available for later pictures."""
        return sum(len(one) for one in self._free)

    def take(self, size: int) -> Pixels:
        """Return an array of `size` bytes, with undefined contents."""
        if size < _MIN_BYTES:
            return np.empty(size, np.uint8)
        with self._lock:
            fitting = [one for one in self._free if size <= len(one) <= 2 * size]
            block = min(fitting, key=len, default=None)
            # Compare by identity: == would compare the bytes.
            self._free = [one for one in self._free if one is not block]
        if block is None:
            block = np.empty(size, np.uint8)
        lent = np.frombuffer(block.data, np.uint8, size)
        # Its base is no array: all views, and views of them, keep `lent`, which alone keeps that base.
        weakref.finalize(lent.base, self._give_back, block).atexit = False
        return lent

    def _give_back(self, block: Pixels) -> None:
        with self._lock:
            self._free.append(block)
            while self.free_bytes > self._most_free_bytes:
                del self._free[0]


picture_memory = PictureMemory()
"""The memory that all decoders share."""
