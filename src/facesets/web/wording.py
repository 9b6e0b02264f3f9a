"""Sentences as somebody reads them who has a page, not a terminal."""

from facesets.errors import Command, Field, Sentence


def worded(sentence: str) -> str:
    """Return a sentence in which options are fields, and commands are as they are typed."""
    return "".join(map(_worded, Sentence(sentence).parts))


def _worded(part: str | Field | Command) -> str:
    if isinstance(part, Field):
        words = part.name.replace("_", " ")
        return f"{words} {part.value}" if part.value else words
    if isinstance(part, Command):
        return f"`{part.line}`"
    return part
