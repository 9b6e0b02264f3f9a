"""Sentences as somebody reads them who has a page, not a terminal."""

from facesets.errors import Command, Field, Sentence


def worded(sentence: str) -> str:
    """Return a sentence in which options are fields, and commands are as they are typed."""
    said = ""
    for part in Sentence(sentence).parts:
        words = _worded(part)
        said += words[0].upper() + words[1:] if isinstance(part, Command) and said.endswith(". ") else words
    return said


_PAGES = {"people list": "the page People"}
"""Commands that a page does as well."""


def _worded(part: str | Field | Command) -> str:
    if isinstance(part, Field):
        words = part.name.replace("_", " ")
        return f"{words} {part.value}" if part.value else words
    if isinstance(part, Command) and part.name in _PAGES:
        return _PAGES[part.name]
    if isinstance(part, Command):
        return f"`{part.line}`"
    return part
