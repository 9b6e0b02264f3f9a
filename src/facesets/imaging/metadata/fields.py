"""Tags of a file, with notes on used and refused ones; and plain texts."""

from facesets.files import printable
from facesets.imaging.metadata.tags import Tags, as_number, as_text


class Fields:
    """The tags of one file by their names.

    Attributes
    ----------
    tags : mapping
        All of them.
    used : set of str
        Those that were read.
    refused : dict of str to str
        Those that hold something which is not believed, with the reason.
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
        """Return a number tag within bounds, or above the least one; None if missing."""
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
        """Note that a tag is not believed."""
        self.refused[name] = f"{as_text(self.tags.get(name))} {why}"


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
