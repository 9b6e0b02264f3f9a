"""From upright boxes to those of stored pixels, as the decoder turns them."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.photos import with_orientation
from tests.fixtures.tagged_photos import ORIENTATION, exif, jpeg_with

from facesets.errors import UnreadableImage
from facesets.imaging.decode import decode
from facesets.imaging.stored_frame import StoredFrame, stored_box, stored_frame, upright_box

_WIDTH, _HEIGHT = 96, 64
_PATCH = (8, 16, 32, 40)
"""Left, top, right and bottom of what is red on the upright picture."""


def _picture() -> Image.Image:
    pixels = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
    left, top, right, bottom = _PATCH
    pixels[top:bottom, left:right] = (255, 0, 0)
    return Image.fromarray(pixels)


def _red(pixels: np.ndarray) -> tuple[float, float, float, float]:
    """Where the picture is red, in fractions of it."""
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
    _picture().save(upright)
    with_orientation(upright, path, orientation)
    decoded, frame = decode(path), stored_frame(path)
    assert frame.upright_size == (decoded.width, decoded.height)
    seen = _red(decoded.pixels)
    stored = stored_box(seen, frame.orientation)
    assert upright_box(stored, frame.orientation) == pytest.approx(seen)
    if suffix in (".heic", ".avif"):
        # What the decoder gives is what counts as stored.
        assert frame.orientation == 1
        return
    assert frame.orientation == orientation
    with Image.open(path) as image:
        image.info.pop("exif", None)
        raw = image.convert("RGB") if suffix != ".tif" else _without_turning(path)
        assert (frame.width, frame.height) == raw.size
        assert stored == pytest.approx(_red(np.asarray(raw)), abs=0.03)


def test_a_heic_picture_that_its_decoder_turns_counts_as_turned(tmp_path: Path) -> None:
    plain, turned = tmp_path / "plain.heic", tmp_path / "turned.heic"
    _picture().save(plain)
    turned.write_bytes(_with_rotation(plain.read_bytes()))
    decoded, frame = decode(turned), stored_frame(turned)
    assert (decoded.width, decoded.height) == (_HEIGHT, _WIDTH)
    assert frame == StoredFrame(1, _HEIGHT, _WIDTH)


def _with_rotation(heic: bytes) -> bytes:
    """The file with a property of a quarter turn for its picture, as phones write it."""
    added = 10
    data = bytearray(heic)
    places = {kind: data.index(kind) for kind in (b"meta", b"iprp", b"ipco", b"ipma", b"iloc")}
    for kind, more in {b"meta": added, b"iprp": added, b"ipco": 9, b"ipma": 1}.items():
        at = places[kind] - 4
        data[at : at + 4] = struct.pack(">I", struct.unpack_from(">I", data, at)[0] + more)
    _move(data, places[b"iloc"] + 4, added)
    # Behind version and flags: how many items, the number of the first, and how many properties it has.
    count = places[b"ipma"] + 14
    ipco = places[b"ipco"] - 4
    properties, at = 0, ipco + 8
    while at < ipco + struct.unpack_from(">I", heic, ipco)[0]:
        at, properties = at + struct.unpack_from(">I", heic, at)[0], properties + 1
    data[count] += 1
    data.insert(count + data[count], 0x80 | (properties + 1))
    data[at:at] = struct.pack(">I4sB", 9, b"irot", 1)
    return bytes(data)


def _move(data: bytearray, iloc: int, by: int) -> None:
    """Let the places of items be so many bytes further on."""
    version, sizes = data[iloc], struct.unpack_from(">H", data, iloc + 4)[0]
    of_offset, of_length, of_base, of_index = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    at = iloc + 8
    for _ in range(struct.unpack_from(">H", data, iloc + 6)[0]):
        at += 6 if version else 4
        at += of_base
        extents = struct.unpack_from(">H", data, at)[0]
        at += 2
        for _ in range(extents):
            at += of_index if version else 0
            offset = int.from_bytes(data[at : at + of_offset], "big") + by
            data[at : at + of_offset] = offset.to_bytes(of_offset, "big")
            at += of_offset + of_length


def _without_turning(path: Path) -> Image.Image:
    """The stored pixels of a TIFF file, which Pillow turns by itself."""
    import tifffile

    return Image.fromarray(tifffile.imread(path))


def test_a_header_is_enough_and_nonsense_counts_as_upright(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_with(exif({ORIENTATION: 42})))
    assert stored_frame(path) == StoredFrame(1, 16, 16)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"II*\0\x08\0\0\0\xff\xff", b"<html>"])
def test_what_is_no_picture_is_refused_with_the_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(UnreadableImage):
        stored_frame(path)
    with pytest.raises(UnreadableImage, match="cannot be read"):
        stored_frame(tmp_path / "none.jpg")
