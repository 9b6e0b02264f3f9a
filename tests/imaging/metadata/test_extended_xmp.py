"""XMP in several parts of a JPEG file is joined by its offsets, and refused if they are wrong."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from tests.fixtures.hostile import damaged_bytes, hostile
from tests.fixtures.tagged_photos import jpeg_in_parts, photo
from tests.fixtures.xmp_packets import exiftool_writes, packet_of

from facesets.errors import UnreadableXmp
from facesets.imaging.metadata.extended_xmp import extended_packet
from facesets.imaging.metadata.reader import packet_in

_GUID = "0123456789ABCDEF0123456789ABCDEF"
_MAIN = packet_of("", f' xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmpNote:HasExtendedXMP="{_GUID}"')
_WHOLE = packet_of("<own:a>" + "x" * 150_000 + "</own:a>")


def _found(
    *parts: tuple[int, bytes], whole: int = len(_WHOLE), guid: str = _GUID, main: bytes = _MAIN
) -> bytes:
    content = jpeg_in_parts(main, [(guid, whole, offset, part) for offset, part in parts])
    return extended_packet(io.BytesIO(content), main)


def _cut(*places: int) -> Sequence[tuple[int, bytes]]:
    ends = [*places[1:], len(_WHOLE)]
    return [(start, _WHOLE[start:end]) for start, end in zip(places, ends, strict=True)]


def test_parts_are_joined_in_whatever_order_they_are() -> None:
    first, second, third = _cut(0, 60_000, 120_000)
    assert _found(first, second, third) == _WHOLE
    assert _found(third, first, second, guid=_GUID.lower()) == _WHOLE


def test_parts_of_other_packets_are_ignored() -> None:
    assert _found(*_cut(0, 60_000, 120_000), guid="F" * 32) == b""
    assert _found() == b""
    assert _found(*_cut(0, 60_000, 120_000), main=packet_of("")) == b""
    assert extended_packet(io.BytesIO(photo("PNG")), _MAIN) == b""


_FIRST, _SECOND, _THIRD = _cut(0, 60_000, 120_000)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ((_FIRST, _THIRD), len(_WHOLE)),
        ((_FIRST, _SECOND), len(_WHOLE)),
        ((_SECOND, _THIRD), len(_WHOLE)),
        ((_FIRST, _SECOND, _SECOND, _THIRD), len(_WHOLE)),
        ((_FIRST, (59_999, _SECOND[1]), _THIRD), len(_WHOLE)),
        ((_FIRST, _SECOND, (2**32 - 1, b"x")), len(_WHOLE)),
        ((_FIRST, _SECOND, _THIRD), len(_WHOLE) - 1),
        ((_FIRST, _SECOND, _THIRD), len(_WHOLE) + 1),
        ((_FIRST, _SECOND, _THIRD), 0),
        (tuple((n, b"x" * 60_000) for n in range(300)), 15_000_000),
    ],
    ids=["gap", "end", "begin", "twice", "overlap", "beyond", "more", "less", "none", "many"],
)
def test_parts_that_do_not_fit_together_are_reported(parts: Sequence[tuple[int, bytes]], whole: int) -> None:
    with pytest.raises(UnreadableXmp, match="do not fit together"):
        _found(*parts, whole=whole)


def test_a_claim_of_gigabytes_is_refused_before_reading() -> None:
    with pytest.raises(UnreadableXmp, match="exceed 16 MB"):
        _found((0, _WHOLE[:60_000]), whole=2**32 - 1)


_SMALL = jpeg_in_parts(_MAIN, [(_GUID, 300, 0, b"a" * 200), (_GUID, 300, 200, b"b" * 100)])


@given(damaged_bytes(_SMALL))
@hostile
def test_damaged_files_are_survived(data: bytes) -> None:
    try:
        file = io.BytesIO(data)
        assert len(extended_packet(file, packet_in(file) or _MAIN)) <= 300
    except UnreadableXmp as error:
        assert str(error).isprintable()


def test_extended_xmp_is_joined_as_by_exiftool(tmp_path: Path) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(photo("JPEG"))
    area = "Area={X=0.5,Y=0.5,W=0.2,H=0.4,Unit=normalized}"
    regions = ",".join(f"{{Name=Person {n},Type=Face,{area}}}" for n in range(400))
    exiftool_writes(picture, f"-RegionInfo={{RegionList=[{regions}]}}", f"-Label={'x' * 200}")
    with picture.open("rb") as file:
        main = packet_in(file)
        more = extended_packet(file, main)
    assert b"Person 399" not in main
    assert more.count(b"Person ") == 400
