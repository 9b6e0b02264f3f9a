"""Upright boxes are converted to stored pixels, as the decoder turns them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from tests.fixtures.photos import with_orientation
from tests.fixtures.tagged_photos import ORIENTATION, exif, jpeg_with

from facesets.errors import UnreadableImage
from facesets.imaging.decode import decode
from facesets.imaging.stored_frame import StoredFrame, stored_box, stored_frame, upright_box

_PATCH = (8, 16, 32, 40)
"""Left, top, right and bottom of what is red on the upright picture."""


def _red(pixels: np.ndarray) -> tuple[float, float, float, float]:
    """Return the red part of a picture, in fractions of it."""
    rows, columns = np.nonzero((pixels[..., 0] > 128) & (pixels[..., 1] < 100))
    height, width = pixels.shape[:2]
    return (
        columns.min() / width,
        rows.min() / height,
        (columns.max() + 1) / width,
        (rows.max() + 1) / height,
    )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".heic", ".avif"])
def test_a_box_is_where_the_stored_pixels_are(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright, path = tmp_path / "upright.png", tmp_path / f"a{suffix}"
    left, top, right, bottom = _PATCH
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[top:bottom, left:right] = (255, 0, 0)
    Image.fromarray(picture).save(upright)
    with_orientation(upright, path, orientation)
    decoded, frame = decode(path), stored_frame(path)
    assert frame.upright_size == (decoded.width, decoded.height)
    seen = _red(decoded.pixels)
    stored = stored_box(seen, frame.orientation)
    assert upright_box(stored, frame.orientation) == pytest.approx(seen)
    if suffix in (".heic", ".avif"):
        # The decoder's output counts as stored.
        assert frame.orientation == 1
        return
    assert seen == pytest.approx((left / 96, top / 64, right / 96, bottom / 64), abs=0.03)
    assert frame.orientation == orientation
    with Image.open(path) as image:
        image.info.pop("exif", None)
        # Pillow turns a TIFF file by itself.
        raw = image.convert("RGB") if suffix != ".tif" else Image.fromarray(tifffile.imread(path))
        assert (frame.width, frame.height) == raw.size
        assert stored == pytest.approx(_red(np.asarray(raw)), abs=0.03)


def test_a_header_is_enough_and_nonsense_counts_as_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with(exif({ORIENTATION: 42})))
    assert stored_frame(path) == StoredFrame(1, 16, 16)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"II*\0\x08\0\0\0\xff\xff", b"<html>"])
def test_a_file_without_a_picture_is_refused_with_the_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage):
        stored_frame(path)
    with pytest.raises(UnreadableImage, match="cannot be read"):
        stored_frame(tmp_path / "none.jpg")
