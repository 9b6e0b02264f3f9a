"""Read the metadata of a photo from the head of its file."""

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from facesets.errors import UnreadableXmp
from facesets.imaging.metadata.camera import camera_of, place_of
from facesets.imaging.metadata.containers import MAX_XMP, Blocks, find_blocks
from facesets.imaging.metadata.extra import extra_of
from facesets.imaging.metadata.fields import Fields
from facesets.imaging.metadata.names import day_of_folder, time_in_name
from facesets.imaging.metadata.record import UNKNOWN_TIME, PhotoMetadata
from facesets.imaging.metadata.tags import XMP, Tags, read_tags
from facesets.imaging.metadata.times import FIRST_YEAR, Taken, read_time, unbelievable
from facesets.imaging.metadata.window import is_of_system
from facesets.imaging.metadata.xmp import TIMES_OF_XMP, BrokenXmp, Properties, first_text, properties, tags_of

READER_VERSION = "1"
"""Incremented when the same file gives another result: photos are then read again."""

_LARGEST_XMP = 16_000_000
"""Maximum size of a packet read for names, in a photo or a sidecar."""

_TIMES = (
    ("DateTimeOriginal", "SubsecTimeOriginal", "OffsetTimeOriginal"),
    ("DateTimeDigitized", "SubsecTimeDigitized", "OffsetTimeDigitized"),
    ("DateTime", "SubsecTime", "OffsetTime"),
)
_BROKEN = (OSError, EOFError, IndexError, ValueError, OverflowError, MemoryError, struct.error, zlib.error)


def read_metadata(
    file: IO[bytes],
    path: str,
    *,
    now: np.datetime64,
    changed: np.datetime64 = UNKNOWN_TIME,
    others: Sequence[str] = (),
) -> PhotoMetadata:
    """Return the metadata in a file and its name; unreadable fields are left out.

    Parameters
    ----------
    file : binary file
        At its beginning. A few kilobytes of it are read.
    path : str
        Read for a date in the names of file and folders; nothing is opened.
    now : datetime64
        Times that are more than a day later come from wrong clocks.
    changed : datetime64
        When the file was last changed, by this machine's clock; ignored if not credible.
    others : sequence of str
        Further paths of the same photo, whose names are read if the earlier sources have no time.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    fields, xmp, refused = _read_head(file)
    by_xmp = Fields(tags_of(xmp))
    found = camera_of(fields) | place_of(fields)
    if by_xmp.tags:
        found = camera_of(by_xmp) | place_of(by_xmp) | found
    taken, doubted = _first_believed(_all_times(fields, xmp, (path, *others), now, changed))
    # The other times are extra tags like any other.
    fields.used -= {tag for tags in _TIMES if tags[0] != taken.source for tag in tags}
    extra = extra_of(fields, xmp, by_xmp.used)
    refused |= {f"XMP {name}": why for name, why in by_xmp.refused.items() if name not in fields.tags}
    refused |= fields.refused
    refused |= {each.source: f"{each.text}: {each.reason}" for each in doubted}
    return PhotoMetadata(
        taken=taken.time,
        taken_from=taken.source,
        taken_text=taken.text or next((each.text for each in doubted), ""),
        utc_offset_min=taken.utc_offset_min,
        refused=refused,
        extra=extra,
        **found,
    )


def time_in_head(file: IO[bytes], *, now: np.datetime64) -> np.datetime64:
    """Return the time in a photo's file; NaT if it has none.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    fields, xmp, _ = _read_head(file)
    return _first_believed(_times_in_head(fields, xmp, now))[0].time


def packet_in(file: IO[bytes]) -> bytes:
    """Return the XMP packet in a photo's file; empty if there is none, or the file's parts are broken.

    Raises
    ------
    UnreadableXmp
        The packet is larger than any program writes, or follows more parts than any program writes.
    OSError
        The file cannot be read.
    """
    try:
        blocks = find_blocks(file, _LARGEST_XMP)
    except _BROKEN as error:
        if is_of_system(error):
            raise
        return b""
    if blocks.has_larger_xmp:
        raise UnreadableXmp(f"it exceeds {_LARGEST_XMP // 1_000_000} MB")
    if blocks.xmp:
        return blocks.xmp
    if blocks.parts_looked_at:
        raise UnreadableXmp(_too_many_parts(blocks))
    packet = read_tags(blocks.exif)[0].get(XMP, b"") if blocks.exif is not None else b""
    return packet if isinstance(packet, bytes) and packet.strip(b"\0") else b""


def _read_head(file: IO[bytes]) -> tuple[Fields, Properties, dict[str, str]]:
    """Return EXIF tags, XMP properties and what is broken, as far as the file is readable."""
    refused: dict[str, str] = {}
    tags: Tags = {}
    xmp_properties: Properties = {}
    try:
        blocks = find_blocks(file)
    except _BROKEN as error:
        if is_of_system(error):
            raise
        blocks = Blocks()
        refused["file"] = "its structure is damaged"
    if blocks.parts_looked_at and not blocks.has_both:
        refused["file"] = _too_many_parts(blocks)
    if blocks.exif is not None:
        tags, broken = read_tags(blocks.exif)
        if broken:
            refused["EXIF"] = "it is damaged"
    if blocks.has_larger_xmp:
        refused["XMP"] = f"it exceeds {MAX_XMP // 1_000_000} MB"
    xmp = blocks.xmp or tags.get(XMP, b"")
    if isinstance(xmp, bytes) and xmp.strip(b"\0"):
        try:
            xmp_properties = properties(xmp)
        except BrokenXmp as error:
            refused["XMP"] = str(error)
    return Fields(tags), xmp_properties, refused


def _too_many_parts(blocks: Blocks) -> str:
    looked_at = f"{blocks.parts_looked_at:_}".replace("_", " ")
    return f"it has more than {looked_at} parts; the parts after those were ignored"


def _first_believed(times: Iterator[Taken]) -> tuple[Taken, list[Taken]]:
    """Return the first credible time, and the earlier ones that are not."""
    doubted: list[Taken] = []
    for each in times:
        if not each.reason:
            return each, doubted
        doubted.append(each)
    return Taken("", ""), doubted


def _all_times(
    fields: Fields, xmp: Properties, paths: Sequence[str], now: np.datetime64, changed: np.datetime64
) -> Iterator[Taken]:
    """Yield the sources of the time a photo was taken, the most reliable first."""
    yield from _times_in_head(fields, xmp, now)
    for named in (time_in_name, day_of_folder):
        yield from (taken for path in paths if (taken := named(path, latest=now)).text)
    if not np.isnat(changed):
        yield Taken("mtime", str(changed), changed.astype("M8[us]"), reason=unbelievable(changed, now))


def _times_in_head(fields: Fields, xmp: Properties, now: np.datetime64) -> Iterator[Taken]:
    for name, fraction, zone in _TIMES:
        taken = read_time(
            name, fields.text(name), latest=now, fraction=fields.text(fraction), zone=fields.text(zone)
        )
        if taken.text:
            yield taken
    for name in TIMES_OF_XMP:
        taken = read_time("XMP", first_text(xmp.get(name, "")), latest=now)
        if taken.text:
            yield taken


def year_in_header(file: IO[bytes], *, latest: int) -> int:
    """Return the capture year in an open file; 0 if it has none. Reads the header only.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    return sane_year(time_in_head(file, now=_end_of(latest)), latest=latest)


def year_in_name(path: str, *, latest: int) -> int:
    """Return the capture year in a file's name; 0 if it has none. Folders do not count."""
    return sane_year(time_in_name(path, latest=_end_of(latest)).time, latest=latest)


def sane_year(time: np.datetime64, *, latest: int) -> int:
    """Return the year of a time if a photo can be from it, else 0.

    Years before photography and after `latest` come from clocks that were never set.
    """
    if np.isnat(time):
        return 0
    year = int(time.astype("datetime64[Y]").astype(int)) + 1970
    return year if FIRST_YEAR <= year <= latest else 0


def _end_of(year: int) -> np.datetime64:
    return np.datetime64(f"{year}-12-31T00:00:00")
