"""Capture times: the order of sources, and implausible times."""

from typing import Any

import numpy as np
import pytest
from tests.fixtures.reading import read
from tests.fixtures.tagged_photos import (
    CAMERA,
    CHANGED,
    DIGITIZED,
    OFFSET_CHANGED,
    OFFSET_ORIGINAL,
    ORIGINAL,
    SUB_ORIGINAL,
    exif,
    jpeg,
    jpeg_with,
    packet,
    photo,
)


def test_more_reliable_sources_take_precedence() -> None:
    main: dict[Any, str] = {CHANGED: "2003:03:03 03:03:03"}
    camera: dict[Any, str] = {ORIGINAL: "2001:01:01 01:01:01", DIGITIZED: "2002:02:02 02:02:02"}
    output: dict[Any, str] = {
        "exif:DateTimeOriginal": "2004-04-04T04:04:04",
        "photoshop:DateCreated": "2005-05-05T05:05:05",
        "xmp:CreateDate": "2006-06-06T06:06:06",
    }
    path = "/2008-08-08 Feast/IMG_20070707_070707.jpg"
    found = []
    for tags in ([ORIGINAL], [DIGITIZED], [CHANGED], ["exif:DateTimeOriginal"], ["photoshop:DateCreated"]):
        found.append(read(_photo(main, camera, output), path, "2009-09-09T09:09:09"))
        for tag in tags:
            for part in (main, camera, output):
                part.pop(tag, None)
    for name in (path, path.replace("IMG", "x_1"), "/2008-08-08 Feast/x.jpg", "/Feast/x.jpg"):
        found.append(read(_photo(main, camera, output), name, "2009-09-09T09:09:09"))
        output.clear()
    found.append(read(_photo(main, camera, output), "/Feast/x.jpg"))
    assert [(each.taken_from, str(each.taken)[:4]) for each in found] == [
        ("DateTimeOriginal", "2001"),
        ("DateTimeDigitized", "2002"),
        ("DateTime", "2003"),
        ("XMP", "2004"),
        ("XMP", "2005"),
        ("XMP", "2006"),
        ("file name", "2007"),
        ("folder name", "2008"),
        ("mtime", "2009"),
        ("", "NaT"),
    ]


def _photo(main: dict[Any, str], camera: dict[Any, str], expected: dict[Any, str]) -> bytes:
    return jpeg(b"Exif\0\0" + exif(main, camera), b"http://ns.adobe.com/xap/1.0/\0" + packet(expected))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0000:00:00 00:00:00", "never set"),
        ("0000:01:01 00:00:00", "never set"),
        ("1904:01:01 00:00:00", "clock that was never set"),
        ("1970:01:01 00:00:00", "clock that was never set"),
        ("1970:01:01 01:00:00", "clock that was never set"),
        ("1980:01:01 00:00:00", "clock that was never set"),
        ("0201:05:06 10:00:00", "before the invention of photography"),
        ("2026:11:24 00:00:00", "future"),
        ("9999:12:31 23:59:59", "future"),
        ("2019:02:30 10:00:00", "not a valid time"),
        ("2009:13:45 99:99:99", "not a valid time"),
        ("yesterday", "not a time"),
        ("20190704", "not a time"),
    ],
)
def test_an_absurd_time_is_stored_as_text_with_the_reason_and_the_next_source_is_used(
    text: str, reason: str
) -> None:
    alone = read(jpeg_with(exif(photo={ORIGINAL: text})))
    assert np.isnat(alone.taken)
    assert (alone.taken_text, alone.taken_from) == (text, "")
    assert text in alone.refused["DateTimeOriginal"]
    assert reason in alone.refused["DateTimeOriginal"]
    both = read(jpeg_with(exif({CHANGED: "2005:01:01 10:00:00"}, {ORIGINAL: text})))
    assert (both.taken_from, both.taken_text) == ("DateTime", "2005:01:01 10:00:00")
    assert reason in both.refused["DateTimeOriginal"]


@pytest.mark.parametrize("text", ["", " ", "    :  :     :  :  ", "\0\0\0"])
def test_a_blank_time_is_ignored(text: str) -> None:
    found = read(jpeg_with(exif(photo={ORIGINAL: text})))
    assert (found.taken_text, dict(found.refused)) == ("", {})


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1957:04:12 00:00:00", "1957-04-12"),
        ("2026:11:22 23:59:59", "2026-11-22T23:59:59"),
        ("2019-07-04 15:30:00", "2019-07-04T15:30:00"),
        ("2019/07/04 15:30:00", "2019-07-04T15:30:00"),
        ("2019:07:04T15:30:00.5+02:00", "2019-07-04T15:30:00.5"),
        ("2019:07:04", "2019-07-04"),
        ("2019: 7: 4 15:30", "NaT"),
        ("1970:01:02 00:00:00", "1970-01-02"),
        ("1904:06:05 12:00:00", "1904-06-05T12:00:00"),
    ],
)
def test_times_are_read_as_programs_write_them(text: str, time: str) -> None:
    assert str(read(jpeg_with(exif(photo={ORIGINAL: text}))).taken) == str(np.datetime64(time, "us"))


def test_parts_of_a_second_and_the_offset_belong_to_the_time_that_counts() -> None:
    parts = {SUB_ORIGINAL: "25", OFFSET_ORIGINAL: "+05:30", OFFSET_CHANGED: "-08:00"}
    main = {CHANGED: "2020:01:01 01:01:01"}
    found = read(jpeg_with(exif(main, {ORIGINAL: "2019:07:04 15:30:00", **parts})))
    assert (str(found.taken), found.utc_offset_min) == ("2019-07-04T15:30:00.250000", 330)
    found = read(jpeg_with(exif(main, parts)))
    assert (str(found.taken), found.utc_offset_min) == ("2020-01-01T01:01:01.000000", -480)


@pytest.mark.parametrize("zone", ["+99:00", "02:00", "+02:75", "local", "   :  "])
def test_an_invalid_offset_counts_as_unknown(zone: str) -> None:
    found = read(jpeg_with(exif(photo={**CAMERA, OFFSET_ORIGINAL: zone})))
    assert (found.taken_from, found.utc_offset_min) == ("DateTimeOriginal", None)


@pytest.mark.parametrize(
    ("text", "time", "offset"),
    [
        ("2019-07-04T15:30:00.25+02:00", "2019-07-04T15:30:00.25", 120),
        ("2019-07-04T15:30Z", "2019-07-04T15:30", 0),
        ("2019-07-04", "2019-07-04", None),
        ("1957-06", "1957-06", None),
        ("1957", "1957", None),
    ],
)
def test_xmp_times_may_be_incomplete(text: str, time: str, offset: int | None) -> None:
    found = read(photo("JPEG", xmp=packet({"photoshop:DateCreated": text})))
    assert (str(found.taken), found.utc_offset_min) == (str(np.datetime64(time, "us")), offset)
