"""Texts as files hold them, made plain."""

from facesets.files import printable


def clean(text: str) -> str:
    """A text up to its first NUL, without blanks around it and without what no database keeps."""
    return text.split("\0", 1)[0].strip().encode(errors="replace").decode()


def from_latin(text: str) -> str:
    """A text that was read as Latin-1, as which every byte can be read, and may be UTF-8."""
    try:
        return clean(text.encode("latin-1").decode())
    except UnicodeError:
        return clean(text)


def from_bytes(content: bytes) -> str:
    """Bytes that are a text in truth; empty where they are none."""
    try:
        text = clean(content.decode())
    except UnicodeDecodeError:
        return ""
    return text if printable(text) == text else ""


def of_comment(content: bytes) -> str:
    """A comment whose first eight bytes name its encoding, as EXIF has it."""
    name, text = content[:8].rstrip(b"\0 "), content[8:]
    if name == b"UNICODE":
        # The order of bytes is that of the file, or little-endian, or marked: the one with letters in it.
        ways = ("utf-16", "utf-16-be") if text[:1] != b"\0" else ("utf-16-be", "utf-16")
        for way in ways:
            try:
                return clean(text.decode(way))
            except UnicodeDecodeError:
                continue
        return ""
    return from_latin(text.decode("latin-1")) if name in (b"ASCII", b"") else ""
