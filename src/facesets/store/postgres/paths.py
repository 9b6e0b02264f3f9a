"""Encode paths as text for PostgreSQL, which accepts only Unicode.

A byte of a path that is not UTF-8 becomes a character of a private range; an actual character of that
range is encoded byte by byte in the same way. So every path has a unique text.
The parts of a stored path are separated by `/` on all systems.
"""

import os
import re

_SEPARATOR = os.sep
_FIRST = 0x10FE00
_MAX_PATH_BYTES = 2600
_OURS = re.compile(f"[{chr(_FIRST)}-{chr(_FIRST + 0xFF)}]")
_STRANGE = re.compile(f"[\udc80-\udcff{chr(_FIRST)}-{chr(_FIRST + 0xFF)}]")


def to_text(path: str) -> str:
    """Return a path as it is stored."""
    return escaped(path if _SEPARATOR == "/" else path.replace(_SEPARATOR, "/"))


def from_text(text: str) -> str:
    """Return the path of a stored text."""
    return separated(unescaped(text))


def separated(text: str) -> str:
    """Return a stored text with the system's path separators."""
    return text if _SEPARATOR == "/" else text.replace("/", _SEPARATOR)


def escaped(text: str) -> str:
    """Return a text that may contain a path, as it is stored."""
    return text if text.isascii() else _STRANGE.sub(_escaped, text)


def unescaped(text: str) -> str:
    """Return the text that `escaped` encoded."""
    if text.isascii() or not _OURS.search(text):
        return text
    raw = _OURS.sub(lambda match: chr(0xDC00 + ord(match[0]) - _FIRST), text)
    return _bytes(raw).decode("utf-8", "surrogateescape")


def fits(path: str) -> bool:
    """Whether a path is short enough for a PostgreSQL index (2.6 kB)."""
    return len(to_text(path).encode()) <= _MAX_PATH_BYTES


def range_below(root: str) -> dict[str, object]:
    """Return the bounds of paths at `root`, or from `below` up to `beyond`; paths compare byte by byte."""
    below = to_text(root).rstrip("/") + "/"
    # "0" is the character after "/".
    return {"root": to_text(root), "below": below, "beyond": below[:-1] + "0"}


def _escaped(match: re.Match[str]) -> str:
    raw = match[0].encode("utf-8", "surrogateescape")
    return "".join(chr(_FIRST + byte) for byte in raw)


def _bytes(raw: str) -> bytes:
    return b"".join(
        bytes([ord(c) - 0xDC00]) if 0xDC00 <= ord(c) <= 0xDCFF else c.encode("utf-8") for c in raw
    )
