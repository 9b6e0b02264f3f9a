"""A file's tags, with notes on used and refused ones, and helpers to clean texts."""

from facesets.files import printable
from facesets.imaging.metadata.tags import Tags, as_number, as_text


class Fields:
    """The tags of one file by their names.

    Attributes
    ----------
    tags : mapping
        All of them.
    used : set of str
        Tags that were read.
    refused : dict of str to str
        Tags with an implausible value, with the reason.
    """

    def __init__(self, tags: Tags) -> None:
        """Start with no tag used."""
        self.tags = tags
        self.used: set[str] = set()
        self.refused: dict[str, str] = {}

    def value(self, name: str) -> object:
        """Return the value of a tag, or None."""
        self.used.add(name)
        return self.tags.get(name)

    def text(self, name: str) -> str:
        """Return a text tag; empty if missing."""
        value = self.value(name)
        if isinstance(value, str):
            return from_latin(value)
        return from_bytes(value) if isinstance(value, bytes) else ""

    def number(self, name: str, *, least: float, most: float, above: bool = False) -> float | None:
        """Return a number tag within bounds; None if missing or outside of them."""
        value = self.value(name)
        if value is None:
            return None
        number = as_number(value)
        if number is None:
            self.refuse(name, "is not a number")
            return None
        if not least <= number <= most or (above and number == least):
            self.refuse(name, "is out of range")
            return None
        return number

    def refuse(self, name: str, why: str) -> None:
        """Note that a tag's value is implausible."""
        self.refused[name] = f"{as_text(self.tags.get(name))} {why}"


def clean(text: str) -> str:
    """Return a text up to its first NUL, stripped, without characters that databases refuse."""
    return text.split("\0", 1)[0].strip().encode(errors="replace").decode()


def from_latin(text: str) -> str:
    """Return a text, decoded as Latin-1, as UTF-8 if its bytes are that."""
    try:
        return clean(text.encode("latin-1").decode())
    except UnicodeError:
        return clean(text)


def from_bytes(content: bytes) -> str:
    """Decode bytes that hold a text; empty if they do not."""
    try:
        text = clean(content.decode())
    except UnicodeDecodeError:
        return ""
    return text if printable(text) == text else ""


def of_comment(content: bytes) -> str:
    """Decode an EXIF comment, whose first eight bytes name its encoding."""
    name, text = content[:8].rstrip(b"\0 "), content[8:]
    if name == b"UNICODE":
        # Byte order may be the file's, little-endian, or marked: take the one that gives letters.
        ways = ("utf-16", "utf-16-be") if text[:1] != b"\0" else ("utf-16-be", "utf-16")
        for way in ways:
            try:
                return clean(text.decode(way))
            except UnicodeDecodeError:
                continue
        return ""
    return from_latin(text.decode("latin-1")) if name in (b"ASCII", b"") else ""
