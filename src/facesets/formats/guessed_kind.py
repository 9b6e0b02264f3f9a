"""Guess an unexpected file's kind from its first bytes, for messages."""

import os

from facesets.files import open_regular_file

_LOOKED_AT_BYTES = 512
_BEGINNINGS = (
    (b"PK\x03\x04", "an archive, such as a cache or bundle"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\xff\xd8\xff", "a picture"),
    (b"\x89PNG\r\n", "a picture"),
    (b"GIF8", "a picture"),
    (b"II*\0", "a picture"),
    (b"MM\0*", "a picture"),
    (b"RIFF", "a picture or a video"),
    (b"%PDF-", "a PDF"),
    (b"\x1f\x8b", "a compressed file"),
    (b"\x7fELF", "a program"),
)
_BEGINNINGS_OF_TEXT = (("{", "JSON"), ("[", "JSON"), ("<", "XML or HTML"))
_SPACES = "\t\r\n\f"


def guessed_kind(path: str | os.PathLike[str]) -> str:
    """Return a file's likely kind, such as `a picture`; empty if unknown or unreadable."""
    try:
        with open_regular_file(path) as file:
            head = file.read(_LOOKED_AT_BYTES)
    except OSError:
        return ""
    if not head:
        return "an empty file"
    for begin, kind in _BEGINNINGS:
        if head.startswith(begin):
            return kind
    if head[4:8] == b"ftyp":
        return "a picture or a video"
    try:
        # A text cut off within a letter is still text.
        text = head.decode("utf-8-sig", "strict" if len(head) < _LOOKED_AT_BYTES else "ignore")
    except UnicodeDecodeError:
        return ""
    if not all(each.isprintable() or each in _SPACES for each in text):
        return ""
    start = text.lstrip()
    return next((kind for begin, kind in _BEGINNINGS_OF_TEXT if start.startswith(begin)), "text")
