"""Tags one by one, with notes of those that were used and those that are not believed."""

from facesets.imaging.metadata.tags import Tags, as_number, as_text
from facesets.imaging.metadata.texts import from_bytes, from_latin


class Fields:
    """The tags of one file by their names.

    Attributes
    ----------
    tags : mapping
        All of them.
    used : set of str
        Those that somebody asked for.
    refused : dict of str to str
        Those that hold something which is not believed, with the reason.
    """

    def __init__(self, tags: Tags) -> None:
        """Begin with none used."""
        self.tags = tags
        self.used: set[str] = set()
        self.refused: dict[str, str] = {}

    def value(self, name: str) -> object:
        """What a tag holds, or None."""
        self.used.add(name)
        return self.tags.get(name)

    def text(self, name: str) -> str:
        """A tag that is a text; empty where it is not there."""
        value = self.value(name)
        if isinstance(value, str):
            return from_latin(value)
        return from_bytes(value) if isinstance(value, bytes) else ""

    def number(self, name: str, *, least: float, most: float, above: bool = False) -> float | None:
        """A tag that is a number within bounds, or above the least one; None where it is not there."""
        value = self.value(name)
        if value is None:
            return None
        number = as_number(value)
        if number is None:
            self.refuse(name, "is no number")
            return None
        if not least <= number <= most or (above and number == least):
            self.refuse(name, "is out of range")
            return None
        return number

    def refuse(self, name: str, why: str) -> None:
        """Note that a tag is not believed."""
        self.refused[name] = f"{as_text(self.tags.get(name))} {why}"
