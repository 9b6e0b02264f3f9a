"""One picture costs a bounded time, whatever its bytes are."""

import io
import struct
import time
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from facesets.errors import UnreadableImage
from facesets.imaging import limits
from facesets.imaging.decode import decode_bytes


def saved(form: str, size: tuple[int, int] = (64, 64), **options: object) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 50).convert("P" if form == "GIF" else "RGB").save(file, form, **options)
    return file.getvalue()


def gif_that_never_begins() -> bytes:
    """A GIF with nothing behind its header, such as a sparse file has."""
    data = saved("GIF")
    return data[: data.index(b",\0\0\0\0", 13)] + bytes(100_000_000)


def png_of_many_parts() -> bytes:
    """A PNG with hundreds of thousands of empty parts before its pixels."""
    part = struct.pack(">I4s", 0, b"abCd") + struct.pack(">I", zlib.crc32(b"abCd"))
    data = saved("PNG")
    return data[:33] + part * 400_000 + data[33:]


def jpeg_of_many_scans(scans: int) -> bytes:
    """A progressive JPEG of which the last scan comes again and again."""
    data = saved("JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


@pytest.mark.slow
def test_a_file_without_a_picture_is_given_up_soon() -> None:
    began = time.thread_time()
    with pytest.raises(UnreadableImage, match="not a picture"):
        decode_bytes(gif_that_never_begins())
    assert time.thread_time() - began < 20


def test_a_decoder_that_reads_on_and_on_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_DECODE_S", 0.2)
    with pytest.raises(UnreadableImage, match="seconds to decode"):
        decode_bytes(png_of_many_parts())


@pytest.mark.parametrize("make", [lambda: jpeg_of_many_scans(600), lambda: jpeg_of_many_scans(20_000)])
def test_a_jpeg_of_many_scans_is_refused(make: Callable[[], bytes]) -> None:
    with pytest.raises(UnreadableImage, match="more than 500 scans"):
        decode_bytes(make())


def test_usual_pictures_are_within_all_limits() -> None:
    noise = bytes(range(256)) * 40 + b"\xff\xda" * 1000
    pictures = [
        saved("JPEG", progressive=True) + noise,
        jpeg_of_many_scans(30),
        saved("GIF", (2000, 1500)),
        saved("GIF", save_all=True, append_images=[Image.new("P", (64, 64), n) for n in range(50)]),
        saved("PNG"),
    ]
    assert all(decode_bytes(data).width >= 64 for data in pictures)
