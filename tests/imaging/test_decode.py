"""Every picture is decoded upright and 8-bit; invalid files are reported."""

import io
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.photos import bomb

from facesets.errors import UnreadableImage
from facesets.imaging import limits
from facesets.imaging.decode import PictureMemory, decode, decode_bytes
from facesets.imaging.limits import ABSOLUTE_MAX_PIXELS

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "HEIF", "AVIF")


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def photo(lfw_photos: list[Path]) -> Image.Image:
    return Image.open(lfw_photos[0]).convert("RGB")


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_shows_the_same_picture(photo: Image.Image, form: str) -> None:
    image = photo.convert("P", palette=Image.Palette.ADAPTIVE) if form == "GIF" else photo
    pixels = decode_bytes(encoded(image, form)).pixels
    assert pixels.shape == (250, 250, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - np.asarray(photo)).mean() < 8
    is_reduced = decode_bytes(encoded(image, form), min_edge=100).scale != (1, 1)
    assert is_reduced == (form == "JPEG")


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "LA", "RGBA", "I;16", "I", "F", "1"])
def test_every_depth_becomes_8_bit_colour(photo: Image.Image, mode: str) -> None:
    grey = np.asarray(photo.convert("L"))
    if mode in ("I;16", "I"):
        image = Image.fromarray(grey.astype(np.uint16) * 257).convert(mode)
    elif mode == "F":
        image = Image.fromarray((grey / 255).astype(np.float32))
    else:
        image = photo.convert(mode, palette=Image.Palette.ADAPTIVE)
    form = "JPEG" if mode == "CMYK" else "TIFF" if mode in ("F", "I") else "PNG"
    pixels = decode_bytes(encoded(image, form)).pixels
    assert pixels.shape == (250, 250, 3)
    if mode != "1":
        assert np.abs(pixels.mean(axis=2) - grey).mean() < 12


def test_transparent_parts_become_white() -> None:
    image = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    assert (decode_bytes(encoded(image, "PNG")).pixels == 255).all()


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_bytes(data).pixels[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("form", FORMATS)
def test_a_truncated_file_is_refused_with_a_reason_and_corrupt_bytes_give_a_picture_or_one(
    photo: Image.Image, form: str
) -> None:
    whole = np.frombuffer(encoded(photo, form), np.uint8)
    for length in (10, len(whole) // 3, len(whole) // 2):
        with pytest.raises(UnreadableImage) as caught:
            decode_bytes(whole[:length].tobytes())
        assert caught.value.reason
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = whole.copy()
        data[rng.integers(0, len(data), 20)] = rng.integers(0, 256, 20)
        try:
            assert decode_bytes(data.tobytes()).pixels.ndim == 3
        except UnreadableImage as error:
            assert error.reason


def test_a_file_without_a_picture_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="cannot be read"):
        decode(tmp_path / "nowhere.jpg")
    with pytest.raises(UnreadableImage, match="empty"):
        decode_bytes(b"")
    with pytest.raises(UnreadableImage, match="not a supported photo format"):
        decode_bytes(b"Dear diary, today I am called .jpg")


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(UnreadableImage, match="60000×60000"):
        decode_bytes(bomb(60_000, 60_000))


def test_the_maximum_size_of_a_picture_can_be_set() -> None:
    small = encoded(Image.new("RGB", (200, 100)), "PNG")
    assert decode_bytes(small, max_pixels=20_000).width == 200
    with pytest.raises(UnreadableImage, match=r"200×100 pixels exceed the limit of 0\.019999 million"):
        decode_bytes(small, max_pixels=19_999)
    large = bomb(14_000, 13_000)[:2_000]
    with pytest.raises(UnreadableImage, match="exceed the limit of 179 million"):
        decode_bytes(large)
    with pytest.raises(UnreadableImage, match="damaged"):
        decode_bytes(large, max_pixels=ABSOLUTE_MAX_PIXELS)


@pytest.mark.parametrize("size", [(1, 1), (30_000, 1), (1, 30_000)])
def test_extreme_shapes_are_pictures(size: tuple[int, int]) -> None:
    assert decode_bytes(encoded(Image.new("RGB", size), "PNG")).pixels.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize(
    ("size", "min_edge", "reduction"),
    [((2001, 1502), 500, 4), ((999, 2000), 900, 2), ((1000, 700), 501, 1)],
)
def test_a_reduced_picture_knows_the_size_of_the_whole(
    photo: Image.Image, size: tuple[int, int], min_edge: int, reduction: int, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo.resize(size), "JPEG", exif=exif)
    whole, reduced = decode_bytes(data), decode_bytes(data, min_edge=min_edge)
    height, width = whole.pixels.shape[:2]
    assert (reduced.width, reduced.height) == (whole.width, whole.height) == (width, height)
    assert whole.scale == pytest.approx((1, 1))
    assert reduced.scale[0] == pytest.approx(reduction, rel=0.005)
    assert reduced.scale[1] == pytest.approx(reduction, rel=0.005)
    smaller = Image.fromarray(whole.pixels).resize(reduced.pixels.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(reduced.pixels.astype(int) - np.asarray(smaller)).mean() < 3


@pytest.mark.parametrize("mode", ["RGBA", "I;16"])
def test_strips_leave_no_seam(mode: str) -> None:
    ramp = np.arange(700, dtype=np.uint16)[:, None].repeat(5, axis=1)
    if mode == "I;16":
        image = Image.fromarray(ramp * 90)
        expected = (ramp * 90 * (255 / 65535)).astype(np.uint8)
    else:
        alpha = np.full((700, 5), 255, np.uint8)
        grey = (ramp % 256).astype(np.uint8)
        image = Image.fromarray(np.dstack([grey, grey, grey, alpha]))
        expected = grey
    np.testing.assert_array_equal(decode_bytes(encoded(image, "PNG")).pixels[:, :, 0], expected)


@pytest.mark.parametrize("min_edge", [None, 300])
def test_a_jpeg_with_previews_behind_it_is_decoded_like_any_jpeg(min_edge: int | None) -> None:
    picture = Image.effect_mandelbrot((1200, 800), (-2, -1, 1, 1), 60).convert("RGB")
    plain, with_preview = io.BytesIO(), io.BytesIO()
    picture.save(plain, "JPEG", quality=90)
    picture.save(with_preview, "MPO", quality=90, save_all=True, append_images=[picture.resize((120, 80))])
    assert Image.open(with_preview).format == "MPO"
    expected = decode_bytes(plain.getvalue(), min_edge=min_edge)
    found = decode_bytes(with_preview.getvalue(), min_edge=min_edge)
    assert (found.width, found.height) == (1200, 800)
    np.testing.assert_array_equal(found.pixels, expected.pixels)


# One picture costs a bounded time, whatever its bytes are.


def saved(form: str, size: tuple[int, int] = (64, 64), **options: object) -> bytes:
    noise = Image.effect_noise(size, 50).convert("P" if form == "GIF" else "RGB")
    return encoded(noise, form, **options)


def gif_that_never_begins() -> bytes:
    """Return a GIF with nothing after its header, like a sparse file."""
    data = saved("GIF")
    return data[: data.index(b",\0\0\0\0", 13)] + bytes(100_000_000)


def png_of_many_parts() -> bytes:
    """Return a PNG with hundreds of thousands of empty parts before its pixels."""
    part = struct.pack(">I4s", 0, b"abCd") + struct.pack(">I", zlib.crc32(b"abCd"))
    data = saved("PNG")
    return data[:33] + part * 400_000 + data[33:]


def jpeg_of_many_scans(scans: int) -> bytes:
    """Return a progressive JPEG whose last scan is repeated."""
    data = saved("JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


@pytest.mark.slow
def test_a_file_without_a_picture_is_given_up_soon() -> None:
    began = time.thread_time()
    with pytest.raises(UnreadableImage, match="not a supported photo format"):
        decode_bytes(gif_that_never_begins())
    assert time.thread_time() - began < 20


def test_a_decoder_that_keeps_reading_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_DECODE_S", 0.2)
    with pytest.raises(UnreadableImage, match="seconds to decode"):
        decode_bytes(png_of_many_parts())


@pytest.mark.parametrize("scans", [600, 20_000])
def test_a_jpeg_of_many_scans_is_refused(scans: int) -> None:
    with pytest.raises(UnreadableImage, match="more than 500 scans"):
        decode_bytes(jpeg_of_many_scans(scans))


def test_common_pictures_are_within_all_limits() -> None:
    noise = bytes(range(256)) * 40 + b"\xff\xda" * 1000
    pictures = [
        saved("JPEG", progressive=True) + noise,
        jpeg_of_many_scans(30),
        saved("GIF", (2000, 1500)),
        saved("GIF", save_all=True, append_images=[Image.new("P", (64, 64), n) for n in range(50)]),
        saved("PNG"),
    ]
    assert all(decode_bytes(data).width >= 64 for data in pictures)


# Memory for large pictures is reused, and never while it is referenced.


SIZE = 5_000_000


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_is_reclaimed_with_the_last_view() -> None:
    memory = PictureMemory()
    whole = memory.take(SIZE)
    where = address(whole)
    view = whole.reshape(-1, 1000)[10:20].T[3:]
    del whole
    other = memory.take(SIZE)
    assert address(other) != where
    del view
    assert address(memory.take(SIZE - 1000)) == where


def test_a_small_picture_gets_no_large_memory() -> None:
    memory = PictureMemory()
    where = address(memory.take(4 * SIZE))
    assert address(memory.take(SIZE)) != where


def test_reclaimed_memory_is_limited() -> None:
    memory = PictureMemory(max_free_bytes=2 * SIZE)
    lent = [memory.take(SIZE) for _ in range(5)]
    assert memory.free_bytes == 0
    lent.clear()
    assert memory.free_bytes == 2 * SIZE


def test_threads_never_share_memory() -> None:
    memory = PictureMemory()
    barrier = threading.Barrier(4)

    def paint(colour: int) -> bool:
        barrier.wait()
        for _ in range(20):
            picture = memory.take(SIZE).reshape(-1, 1000)
            picture[:] = colour
            view = picture[7:]
            del picture
            if not (view == colour).all():
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(paint, range(4)))
