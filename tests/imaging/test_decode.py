"""Every picture comes out upright and 8-bit; rubbish costs a sentence."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.fixtures.photos import bomb

from facesets.errors import UnreadableImage
from facesets.imaging.decode import decode, decode_bytes
from facesets.imaging.limits import MOST_PIXELS


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


@pytest.fixture
def photo(lfw_photos: list[Path]) -> Image.Image:
    return Image.open(lfw_photos[0]).convert("RGB")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "HEIF", "AVIF"])
def test_every_format_shows_the_same_picture(photo: Image.Image, form: str) -> None:
    image = photo.convert("P", palette=Image.Palette.ADAPTIVE) if form == "GIF" else photo
    pixels = decode_bytes(encoded(image, form)).pixels
    assert pixels.shape == (250, 250, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - np.asarray(photo)).mean() < 8


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


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "HEIF", "WEBP", "AVIF", "GIF", "BMP"])
def test_a_truncated_file_is_refused_with_a_reason(photo: Image.Image, form: str) -> None:
    whole = encoded(photo, form)
    for length in (10, len(whole) // 3, len(whole) // 2):
        with pytest.raises(UnreadableImage) as caught:
            decode_bytes(whole[:length])
        assert caught.value.reason


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "HEIF", "WEBP", "AVIF", "GIF", "BMP"])
def test_corrupt_bytes_give_a_picture_or_a_reason_and_nothing_else(photo: Image.Image, form: str) -> None:
    whole = np.frombuffer(encoded(photo, form), np.uint8)
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = whole.copy()
        data[rng.integers(0, len(data), 20)] = rng.integers(0, 256, 20)
        try:
            pixels = decode_bytes(data.tobytes()).pixels
        except UnreadableImage as error:
            assert error.reason
        else:
            assert pixels.ndim == 3


def test_what_is_no_picture_says_so() -> None:
    with pytest.raises(UnreadableImage, match="empty"):
        decode_bytes(b"")
    with pytest.raises(UnreadableImage, match="not a picture"):
        decode_bytes(b"Dear diary, today I am called .jpg")


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    with pytest.raises(UnreadableImage, match="60000×60000"):
        decode_bytes(bomb(60_000, 60_000))


def test_how_large_a_picture_may_be_can_be_said() -> None:
    small = encoded(Image.new("RGB", (200, 100)), "PNG")
    assert decode_bytes(small, max_pixels=20_000).width == 200
    with pytest.raises(UnreadableImage, match=r"200×100 pixels are more than 0\.019999 million"):
        decode_bytes(small, max_pixels=19_999)
    large = bomb(14_000, 13_000)[:2_000]
    with pytest.raises(UnreadableImage, match="more than 179 million"):
        decode_bytes(large)
    with pytest.raises(UnreadableImage, match="damaged"):
        decode_bytes(large, max_pixels=MOST_PIXELS)


@pytest.mark.parametrize("size", [(1, 1), (30_000, 1), (1, 30_000)])
def test_extreme_shapes_are_pictures(size: tuple[int, int]) -> None:
    assert decode_bytes(encoded(Image.new("RGB", size), "PNG")).pixels.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize(
    ("size", "least_edge", "reduction"),
    [((2001, 1502), 500, 4), ((999, 2000), 900, 2), ((1000, 700), 501, 1)],
)
def test_a_reduced_picture_knows_the_size_of_the_whole(
    photo: Image.Image, size: tuple[int, int], least_edge: int, reduction: int, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photo.resize(size), "JPEG", exif=exif)
    whole, reduced = decode_bytes(data), decode_bytes(data, least_edge=least_edge)
    height, width = whole.pixels.shape[:2]
    assert (reduced.width, reduced.height) == (whole.width, whole.height) == (width, height)
    assert whole.scale == pytest.approx((1, 1))
    assert reduced.scale[0] == pytest.approx(reduction, rel=0.005)
    assert reduced.scale[1] == pytest.approx(reduction, rel=0.005)
    smaller = Image.fromarray(whole.pixels).resize(reduced.pixels.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(reduced.pixels.astype(int) - np.asarray(smaller)).mean() < 3


def test_only_jpegs_are_reduced(photo: Image.Image) -> None:
    assert decode_bytes(encoded(photo.resize((1000, 1000)), "PNG"), least_edge=100).scale == (1, 1)


def test_a_missing_file_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImage, match="cannot be read"):
        decode(tmp_path / "nowhere.jpg")


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


@pytest.mark.parametrize("least_edge", [None, 300])
def test_a_jpeg_with_previews_behind_it_is_decoded_like_any_jpeg(least_edge: int | None) -> None:
    picture = Image.effect_mandelbrot((1200, 800), (-2, -1, 1, 1), 60).convert("RGB")
    plain, with_preview = io.BytesIO(), io.BytesIO()
    picture.save(plain, "JPEG", quality=90)
    picture.save(with_preview, "MPO", quality=90, save_all=True, append_images=[picture.resize((120, 80))])
    assert Image.open(with_preview).format == "MPO"
    expected = decode_bytes(plain.getvalue(), least_edge=least_edge)
    found = decode_bytes(with_preview.getvalue(), least_edge=least_edge)
    assert (found.width, found.height) == (1200, 800)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
