import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from pillow_heif import register_heif_opener

from facesets.imaging.metadata.reader import year_in_header, year_in_name

register_heif_opener()
LATEST = 2026
ORIGINAL, DIGITIZED, CHANGED, MAKER = 0x9003, 0x9004, 0x0132, 0x010F
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")


class Counting(io.BytesIO):
    """A file that counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def exif_with(times: dict[int, str]) -> Image.Exif:
    exif = Image.Exif()
    exif[MAKER] = "nobody"
    for tag, text in times.items():
        (exif if tag == CHANGED else exif.get_ifd(0x8769))[tag] = text
    return exif


def photo(kind: str, times: dict[int, str], edge: int = 500) -> bytes:
    noise = np.random.default_rng(1).integers(0, 255, (edge, edge, 3), np.uint8)
    out = io.BytesIO()
    exif = exif_with(times)
    picture = Image.fromarray(noise)
    # As good a file as any, in a tenth of the time.
    how: dict[str, Any] = {"enc_params": {"preset": "ultrafast"}} if kind == "HEIF" else {}
    if times:
        how["exif"] = exif.tobytes()
    picture.save(out, kind, **how)
    return out.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
def test_the_year_is_found_in_every_format_by_reading_a_small_part(kind: str) -> None:
    data = photo(kind, {ORIGINAL: "2009:07:04 12:30:05"})
    assert len(data) > 150_000
    file = Counting(data)
    assert year_in_header(file, latest=LATEST) == 2009
    assert file.taken < 40_000


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_without_a_time_has_no_year(kind: str) -> None:
    file = Counting(photo(kind, {}))
    assert year_in_header(file, latest=LATEST) == 0
    assert file.taken < 200_000


def test_the_original_time_comes_before_the_digitized_and_the_changed() -> None:
    times = {
        ORIGINAL: "1987:01:02 03:04:05",
        DIGITIZED: "2005:01:01 10:00:00",
        CHANGED: "2019:01:01 10:00:00",
    }
    for tag, year in ((ORIGINAL, 1987), (DIGITIZED, 2005), (CHANGED, 2019)):
        assert year_in_header(io.BytesIO(photo("JPEG", times, 16)), latest=LATEST) == year
        del times[tag]


@pytest.mark.parametrize(
    "text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2087:01:01 00:00:00", "0201:05:06 10:00:00", "x"]
)
def test_a_clock_that_was_never_set_leaves_it_to_the_next_tag(text: str) -> None:
    times = {ORIGINAL: text, DIGITIZED: "2005:01:01 10:00:00"}
    assert year_in_header(io.BytesIO(photo("JPEG", times, 16)), latest=LATEST) == 2005
    assert year_in_header(io.BytesIO(photo("JPEG", {ORIGINAL: text}, 16)), latest=LATEST) == 0


def test_exif_behind_the_pixels_of_a_png_is_found_and_a_look_alike_is_not() -> None:
    block = exif_with({ORIGINAL: "2011:01:01 10:00:00"}).tobytes().removeprefix(b"Exif\0\0")
    plain = photo("PNG", {})
    end = plain.rindex(b"IEND") - 4
    out = io.BytesIO()
    PngImagePlugin.putchunk(out, b"eXIf", block)
    late = plain[:end] + out.getvalue() + plain[end:]
    assert year_in_header(io.BytesIO(late), latest=LATEST) == 2011
    torn = bytearray(late)
    torn[late.rindex(b"2011:01")] ^= 1
    assert year_in_header(io.BytesIO(bytes(torn)), latest=LATEST) == 0


def test_a_heif_file_that_lists_endless_empty_extents_has_no_year() -> None:
    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), kind) + content

    infe = box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 1, 0, b"Exif") + b"\0")
    iinf = box(b"iinf", bytes(4) + struct.pack(">H", 1) + infe)
    items = b"".join(struct.pack(">HHH", 2, 0, 0xFFFF) for _ in range(60_000))
    iloc = box(b"iloc", bytes(4) + b"\0\0" + struct.pack(">H", 60_000) + items)
    file = box(b"ftyp", b"heic" + bytes(4)) + box(b"meta", bytes(4) + iinf + iloc)
    assert year_in_header(io.BytesIO(file), latest=LATEST) == 0


@pytest.fixture(scope="module")
def small() -> dict[str, bytes]:
    return {kind: photo(kind, {ORIGINAL: "2009:07:04 12:30:05"}, 24) for kind in FORMATS}


@given(
    kind=st.sampled_from(FORMATS),
    keep=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12),
)
def test_a_broken_header_gives_some_year_or_none_and_never_an_error(
    small: dict[str, bytes], kind: str, keep: float, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(small[kind][: int(keep * len(small[kind])) + 1])
    for place, value in changes:
        data[min(int(place * len(data)), 600, len(data) - 1)] = value
    assert 0 <= year_in_header(io.BytesIO(bytes(data)), latest=LATEST) <= LATEST


@pytest.mark.parametrize(
    ("name", "year"),
    [
        ("IMG_20190412_123456.jpg", 2019),
        ("IMG-20190412-WA0003.jpg", 2019),
        ("VID-20190412-WA0003.mp4", 2019),
        ("PXL_20210412_101112123.jpg", 2021),
        ("20190412123456.jpg", 2019),
        ("Screenshot_2019-04-12-10-11-12.png", 2019),
        ("2019-04-12 10.11.12.jpg", 2019),
        ("WhatsApp Image 2019-04-12 at 10.11.12 (1).jpeg", 2019),
        ("signal-2019-04-12-101112.jpg", 2019),
        ("Oma 12.04.1957.jpg", 1957),
        ("04-25-1957.jpg", 1957),
        ("IMG_2019.jpg", 0),
        ("DSC20480.jpg", 0),
        ("DSC_2048.jpg", 0),
        ("wallpaper 1920x1080.jpg", 0),
        ("19201080.jpg", 0),
        ("IMG_20191332_1.jpg", 0),
        ("20480412.jpg", 0),
        ("120190412.jpg", 0),
        ("201904121.jpg", 0),
        ("10203040_2019_n.jpg", 0),
        ("photoshop 2019.1.2.jpg", 0),
        ("1555077600000.jpg", 0),
        ("2019.jpg", 0),
        ("0001-01-01.jpg", 0),
    ],
)
def test_a_name_gives_a_year_only_by_a_whole_date(name: str, year: int) -> None:
    assert year_in_name(f"/photos/{name}", latest=LATEST) == year


def test_folders_give_no_year() -> None:
    assert year_in_name("/photos/2019-04-12 Ball/DSC_0001.jpg", latest=LATEST) == 0
    assert year_in_name(r"C:\2019-04-12\DSC_0001.jpg", latest=LATEST) == 0


@given(st.text())
def test_no_name_is_too_strange(name: str) -> None:
    assert 0 <= year_in_name(str(Path("/photos") / name.replace("\0", "")), latest=LATEST) <= LATEST
