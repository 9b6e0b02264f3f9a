"""Read XMP that is too large for one part of a JPEG, joining further parts by their offsets.

References
----------
XMP specification, part 3, 1.1.3.1: extended XMP in JPEG.
"""

import re
import struct
from typing import IO

from facesets.errors import UnreadableXmp
from facesets.imaging.metadata.containers import OF_PROGRAMS, jpeg_segments
from facesets.imaging.metadata.window import is_of_system

_MAX_BYTES = 16_000_000
_NAME = b"http://ns.adobe.com/xmp/extension/\0"
_HEAD = struct.Struct(">32sII")
"""Header of a part: the packet's name as in the first one, the whole length, and the part's offset."""
_ITS_OWN = re.compile(rb"""HasExtendedXMP\s*(?:=\s*["']|>)\s*([0-9A-Fa-f]{32})""")


def extended_packet(file: IO[bytes], packet: bytes) -> bytes:
    """Return the extended packet that a photo's XMP packet names; empty if there is none.

    Parameters
    ----------
    file : binary file
        The photo's file; only JPEG files have extended packets.
    packet : bytes
        The first packet.

    Raises
    ------
    UnreadableXmp
        Parts are missing, too many, or inconsistent; or the packet is larger than any program writes.
    OSError
        The file cannot be read.
    """
    own = _ITS_OWN.search(packet)
    file.seek(0)
    if own is None or file.read(2) != b"\xff\xd8":
        return b""
    try:
        return _joined(file, own[1].lower())
    except (OSError, IndexError, struct.error) as error:
        if is_of_system(error):
            raise
        raise _broken() from error


def _joined(file: IO[bytes], own: bytes) -> bytes:
    """Join all parts of one packet in order, reading at most the stated length."""
    parts: dict[int, bytes] = {}
    whole, held = 0, 0
    for kind, length in jpeg_segments(file):
        if kind != OF_PROGRAMS or length <= len(_NAME) + _HEAD.size or file.read(len(_NAME)) != _NAME:
            continue
        of, total, offset = _HEAD.unpack(file.read(_HEAD.size))
        if of.lower() != own:
            continue
        if total > _MAX_BYTES:
            raise UnreadableXmp(f"its extended parts exceed {_MAX_BYTES // 1_000_000} MB")
        size = length - len(_NAME) - _HEAD.size
        held += size
        whole = whole or total
        if total != whole or held > whole or offset in parts:
            raise _broken()
        parts[offset] = file.read(size)
    at = 0
    for offset in sorted(parts):
        if offset != at:
            raise _broken()
        at += len(parts[offset])
    if at != whole:
        raise _broken()
    return b"".join(parts[offset] for offset in sorted(parts))


def _broken() -> UnreadableXmp:
    return UnreadableXmp("its extended parts do not fit together")
