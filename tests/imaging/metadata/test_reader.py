"""Metadata of a photo's file: order of sources, implausible values, and cost."""

import errno
import io
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fixtures.hostile import EXAMPLES
from tests.fixtures.reading import NOW, read
from tests.fixtures.tagged_photos import (
    ACCURACY,
    ALL_IN_XMP,
    CAMERA,
    CHANGED,
    COMMENT,
    F_NUMBER,
    FORMATS,
    ISO,
    LATITUDE,
    LATITUDE_REF,
    LENS,
    LONGITUDE_REF,
    MAKE,
    MAKER_NOTE,
    MODEL,
    ORIENTATION,
    SOFTWARE,
    exif,
    jpeg,
    jpeg_with,
    made_photos,
    packet,
    photo,
    place,
)

from facesets.imaging.metadata.extra import MAX_BYTES
from facesets.imaging.metadata.fields import from_bytes
from facesets.imaging.metadata.reader import read_metadata, year_in_header
from facesets.imaging.metadata.record import PhotoMetadata, exposure

# Places


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(48.2, 16.4), (-33.9, 18.4), (40.7, -74.0), (-22.9, -43.2)]
)
def test_places_are_in_degrees_north_and_east(latitude: float, longitude: float) -> None:
    found = read(jpeg_with(exif(gps=place(latitude, longitude, altitude=[(1711, 10)], accuracy=[(5, 1)]))))
    assert (found.latitude, found.longitude) == (latitude, longitude)
    assert (found.altitude_m, found.gps_accuracy_m) == (171.1, 5)
    below = read(jpeg_with(exif(gps=place(latitude, longitude, altitude=[(430, 1)], below=b"\1"))))
    assert below.altitude_m == -430


@pytest.mark.parametrize(
    ("wrong", "name", "reason"),
    [
        ({LATITUDE: [(0, 1)] * 3, 4: [(0, 1)] * 3}, "GPSLatitude", "an unknown location"),
        ({LATITUDE: [(91, 1), (0, 1), (0, 1)]}, "GPSLatitude", "out of range"),
        ({4: [(180, 1), (0, 1), (1, 1)]}, "GPSLongitude", "out of range"),
        ({LATITUDE_REF: "E", LONGITUDE_REF: "N"}, "GPSLatitude", "hemisphere 'E'"),
        ({LONGITUDE_REF: ""}, "GPSLongitude", "no hemisphere"),
        ({LATITUDE: [(0, 0)] * 3}, "GPSLatitude", "not a number"),
        ({LATITUDE: "somewhere"}, "GPSLatitude", "not a number"),
        ({ACCURACY: [(1, 0)]}, "GPSHPositioningError", "not a number"),
    ],
)
def test_a_place_that_cannot_be_is_refused_with_the_reason(
    wrong: dict[int, bytes | str], name: str, reason: str
) -> None:
    found = read(jpeg_with(exif(gps={**place(1, 2), **wrong})))
    assert reason in found.refused[name]
    if name != "GPSHPositioningError":
        assert (found.latitude, found.longitude) == (None, None)


# Cameras and all else


def block_of(order: str) -> bytes:
    return exif(
        {MAKE: "Maker", MODEL: "Model 1", ORIENTATION: 1}, CAMERA, place(48.2083333, -16.375), order=order
    )


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("block", "xmp", "source"),
    [
        (block_of("<"), None, "DateTimeOriginal"),
        (block_of(">"), None, "DateTimeOriginal"),
        (None, packet(ALL_IN_XMP, as_elements=True), "XMP"),
        (None, packet({**ALL_IN_XMP, "exif:ISOSpeedRatings": "400"}), "XMP"),
    ],
    ids=["EXIF", "EXIF, the other way round", "XMP of elements", "XMP of attributes"],
)
def test_every_format_gives_the_same_by_exif_and_by_xmp(
    kind: str, block: bytes | None, xmp: bytes | None, source: str
) -> None:
    found = read(photo(kind, block, xmp=xmp))
    assert (found.make, found.model, found.lens, found.iso) == ("Maker", "Model 1", "35mm F2", 400)
    assert (found.aperture, found.exposure_s, found.focal_length_mm) == (2.8, 1 / 250, 35)
    assert (found.taken_from, str(found.taken)[:19]) == (source, "2019-07-04T15:30:00")
    assert (found.latitude, found.longitude) == pytest.approx((48.2083333, -16.375))
    assert found.refused == {}


def test_exif_takes_precedence_over_xmp() -> None:
    block, output = (
        exif({MAKE: "Maker"}, {F_NUMBER: [(4, 1)]}),
        packet({"tiff:Make": "Other", "tiff:Model": "M"}),
    )
    found = read(photo("JPEG", block, xmp=output))
    assert (found.make, found.model, found.aperture) == ("Maker", "M", 4)


def png_part(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_exif_as_imagemagick_writes_it_into_png_files_is_read() -> None:
    block = b"Exif\0\0" + exif({MAKE: "Maker"}, CAMERA)
    text = b"\nexif\n%8d\n" % len(block) + block.hex().encode() + b"\n"
    for kind, profile in (b"tEXt", text), (b"zTXt", b"\0" + zlib.compress(text)):
        part = png_part(kind, b"Raw profile type exif\0" + profile)
        plain = photo("PNG")
        for at in (33, len(plain) - 12):
            assert read(plain[:at] + part + plain[at:]).make == "Maker"


def test_all_other_tags_are_stored_by_name_as_json() -> None:
    tags = {**CAMERA, COMMENT: b"UNICODE\0" + "am See ☀".encode("utf-16-le"), 0x9209: 16, 0xA402: [1]}
    found = read(jpeg_with(exif({SOFTWARE: "1.0", 0x011A: [(72, 1)], CHANGED: "2020:01:01 01:01:01"}, tags)))
    assert json.loads(json.dumps(dict(found.extra))) == {
        "Software": "1.0",
        "XResolution": 72,
        "DateTime": "2020:01:01 01:01:01",
        "UserComment": "am See ☀",
        "Flash": 16,
        "ExposureMode": 1,
    }


def test_nuls_and_what_is_behind_them_makers_notes_and_other_blobs_are_dropped() -> None:
    found = read(jpeg_with(exif({MAKE: "Maker\0\0", SOFTWARE: "1.0\0rest"}, {LENS: "35mm\0 F2"})))
    assert (found.make, found.lens, found.extra["Software"]) == ("Maker", "35mm", "1.0")
    blobs = {MAKER_NOTE: b"note" * 8000, 0xA40B: bytes(range(256))}
    found = read(jpeg_with(exif({0xC4A5: b"print" * 50}, {**CAMERA, **blobs})))
    assert (found.iso, dict(found.extra)) == (400, {})


def test_extra_tags_have_a_bounded_size() -> None:
    output = {f"dc:p{n}": "x" * 900 for n in range(60)}
    found = read(photo("JPEG", xmp=packet(output)))
    assert MAX_BYTES - 1000 < len(json.dumps(dict(found.extra))) < MAX_BYTES + 1000
    assert "16 kB" in found.refused["extra"]


@pytest.mark.parametrize("number", [0, 9, 65535])
def test_an_invalid_orientation_is_refused(number: int) -> None:
    found = read(jpeg_with(exif({ORIENTATION: number})))
    assert (found.orientation, found.refused) == (1, {"Orientation": f"{number} is out of range"})


def test_a_sensitivity_too_large_for_its_tag_is_read_where_it_is_written() -> None:
    assert read(jpeg_with(exif(photo={ISO: 65535, 0x8832: [102400]}))).iso == 102400


# Hostile files


@pytest.mark.parametrize(
    "before",
    [
        '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd">',
    ],
)
def test_xmp_that_defines_entities_or_is_no_xml_is_refused(before: str) -> None:
    output = packet({"tiff:Make": "Maker"}, before=before)
    found = read(jpeg(b"http://ns.adobe.com/xap/1.0/\0" + output))
    assert found.make == ""
    assert "entities" in found.refused["XMP"]
    assert "XML" in read(jpeg(b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta")).refused["XMP"]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "HEIF"])
def test_xmp_of_megabytes_is_refused_with_the_reason(kind: str) -> None:
    some = packet({"tiff:Make": "Maker"})
    assert read(photo(kind, xmp=some + b" " * 500_000)).make == "Maker"
    found = read(photo(kind, xmp=some + b" " * 1_000_000))
    assert (found.make, found.refused["XMP"]) == ("", "it exceeds 1 MB")


@pytest.mark.parametrize(
    ("kind", "at", "part"),
    [
        ("PNG", 33, bytes(4) + b"prVt" + bytes(4)),
        ("JPEG", 2, b"\xff\xe2\0\2"),
        ("WEBP", 12, b"JUNK" + bytes(4)),
    ],
)
def test_metadata_behind_thousands_of_parts_is_reported(kind: str, at: int, part: bytes) -> None:
    whole = photo(kind, xmp=packet({"tiff:Make": "Maker"}))
    few, many = (whole[:at] + part * number + whole[at:] for number in (9000, 10_001))
    assert (read(few).make, read(few).refused) == ("Maker", {})
    assert read(many).refused["file"].startswith("it has more than 10 000 parts")


def test_a_failing_disk_is_not_a_broken_photo() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 100:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return super().read(size)

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        read_metadata(Failing(jpeg_with(exif({MAKE: "Maker"}, CAMERA))), "a.jpg", now=NOW)


MADE = {name: content for name, content in made_photos().items() if len(content) < 20_000}
# Change the front, where the tags are, most often.
PLACES = st.one_of(st.integers(0, 700), st.integers(0, 20_000))


@pytest.mark.slow
@given(
    name=st.sampled_from(sorted(MADE)),
    changes=st.lists(st.tuples(PLACES, st.binary(min_size=1, max_size=8)), max_size=8),
    keep=st.one_of(st.none(), PLACES),
)
@settings(max_examples=10 * EXAMPLES, deadline=None)
def test_damaged_files_give_values_that_a_database_accepts(
    name: str, changes: list[tuple[int, bytes]], keep: int | None
) -> None:
    content = bytearray(MADE[name][:keep])
    for at, new in changes:
        content[at : at + len(new)] = new
    require_storable(read(bytes(content)))
    assert 0 <= year_in_header(io.BytesIO(bytes(content)), latest=2026) <= 2026


def require_storable(found: PhotoMetadata) -> None:
    # A backslash in a text is escaped itself, and may stand before any letters.
    text = json.dumps([dict(found.extra), dict(found.refused)], allow_nan=False).replace("\\\\", "")
    assert "\\u0000" not in text
    assert "\\ud8" not in text
    assert len(text) < 3 * MAX_BYTES
    assert 1 <= found.orientation <= 8
    assert (found.latitude is None) == (found.longitude is None)
    assert np.isnat(found.taken) == (not found.taken_from)
    for name in ("latitude", "altitude_m", "gps_accuracy_m", "aperture", "exposure_s", "focal_length_mm"):
        number = getattr(found, name)
        assert number is None or np.isfinite(number)


@pytest.mark.parametrize("offset", [2**45, 2**62, 2**63 + 5, 2**64 - 1])
def test_an_impossible_offset_is_a_broken_file_not_a_failing_disk(offset: int, tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    path.write_bytes(
        struct.pack(">I4s4sI", 16, b"ftyp", b"heic", 0) + struct.pack(">I4sQ", 1, b"free", offset)
    )
    with path.open("rb") as file:
        assert not read_metadata(file, str(path), now=NOW).extra


# Costs


class Counting(io.BytesIO):
    """A file that counts how often and how much is read of it."""

    calls = size = 0

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        self.calls, self.size = self.calls + 1, self.size + len(content)
        return content


def test_a_false_count_of_tags_costs_little() -> None:
    block = bytearray(exif({MAKE: "Maker"}))
    block[8:10] = b"\xff\xff"
    file = Counting(b"II*\0" + bytes(block[4:]) + bytes(2_000_000))
    assert read_metadata(file, "a.tif", now=NOW).make == "Maker"
    assert file.calls < 5000


def test_some_filling_in_front_of_a_part_is_passed_and_endless_filling_is_not() -> None:
    whole = jpeg_with(exif({MAKE: "Maker"}))
    assert read(whole[:2] + b"\xff" * 5000 + whole[2:]).make == "Maker"
    file = Counting(whole[:2] + b"\xff" * 50_000_000)
    assert read_metadata(file, "a.jpg", now=NOW).make == ""
    assert file.calls < 1000
    assert file.size < 2_000_000


@pytest.mark.parametrize("kind", FORMATS)
def test_only_the_head_of_a_large_file_is_read(kind: str) -> None:
    block = exif({MAKE: "Maker"}, {**CAMERA, MAKER_NOTE: b"note" * 3000}, place(1, 2))
    file = Counting(photo(kind, block, edge=500, noisy=True) + bytes(400_000))
    assert read_metadata(file, "a", now=NOW).make == "Maker"
    assert file.size < 100_000
    for tags, most_read in ((CAMERA, 40_000), ({}, 200_000)):
        file = Counting(photo(kind, exif(photo=tags), edge=500, noisy=True))
        assert year_in_header(file, latest=2019) == (2019 if tags else 0)
        assert file.size < most_read
        assert year_in_header(file, latest=2018) == 0


def test_exif_behind_the_pixels_of_a_png_is_found_and_a_look_alike_is_not() -> None:
    plain = photo("PNG")
    end = plain.rindex(b"IEND") - 4
    late = bytearray(plain[:end] + png_part(b"eXIf", exif({MAKE: "Maker"})) + plain[end:])
    assert read(bytes(late)).make == "Maker"
    late[late.rindex(b"Maker")] ^= 1
    assert read(bytes(late)).make == ""


def test_a_heif_file_with_endless_empty_extents_gives_nothing() -> None:
    def box(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I4s", 8 + len(content), kind) + content

    infe = box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 1, 0, b"Exif") + b"\0")
    iinf = box(b"iinf", bytes(4) + struct.pack(">H", 1) + infe)
    items = b"".join(struct.pack(">HHH", 2, 0, 0xFFFF) for _ in range(60_000))
    iloc = box(b"iloc", bytes(4) + b"\0\0" + struct.pack(">H", 60_000) + items)
    file = box(b"ftyp", b"heic" + bytes(4)) + box(b"meta", bytes(4) + iinf + iloc)
    assert year_in_header(io.BytesIO(file), latest=2026) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1 / 8000, "1/8000"), (0.004, "1/250"), (0.25, "1/4"), (0.3, "0.3"), (1.0, "1"), (30.0, "30")],
)
def test_exposure_times_are_written_as_cameras_show_them(seconds: float, text: str) -> None:
    assert exposure(seconds) == text


def test_bytes_are_a_text_with_joiners_where_they_belong() -> None:
    assert from_bytes("\u0645\u06cc\u200c\u062e".encode()) == "\u0645\u06cc\u200c\u062e"
    assert from_bytes("an\u200dna".encode()) == from_bytes(b"a\x01") == ""
