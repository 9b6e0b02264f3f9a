"""Joiners: invisible characters that belong to how some names are written."""

import re
import unicodedata
from collections.abc import Callable

_JOINER = re.compile("(?<=(.))\ufe0f?([\u200c\u200d])(?=(.))")
_EMOJIS = re.compile("[\u2194-\u21aa\u2300-\u27bf\u2934\u2935\u2b05-\u2b55\U0001f000-\U0001faff]{2}")
_VARIATIONS = frozenset(map(chr, range(0xFE00, 0xFE10)))
"""Whether a character is drawn as an emoji."""
JOINERS = frozenset("\u200c\u200d")
OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Invisible characters that can disguise a text."""
_SCRIPTS = {
    *("ARABIC", "SYRIAC", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL"),
    *("TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR"),
}


def joiners(text: str) -> set[int]:
    """Return the places of joiners in emoji, or between letters of a script that needs them."""
    return {found.start(2) for found in _JOINER.finditer(text) if _joins(*found.group(1, 2, 3))}


def without_invisible(text: str) -> str:
    """Return a text without invisible characters, to compare two that look the same."""
    if text.isascii():
        return text
    return "".join(c for c in text if unicodedata.category(c) != "Cf" and c not in _VARIATIONS)


def made_printable(text: str, instead: Callable[[str], str]) -> str:
    """Replace unprintable characters, except joiners in their places."""
    if text.isprintable():
        return text
    joining = joiners(text)
    return "".join(c if c.isprintable() or at in joining else instead(c) for at, c in enumerate(text))


def _joins(before: str, joiner: str, after: str) -> bool:
    if not all(unicodedata.category(each)[0] in "LM" for each in (before, after)):
        pair = before + after
        return joiner == "\u200d" and pair.isprintable() and _EMOJIS.fullmatch(pair) is not None
    scripts = {unicodedata.name(each, "").partition(" ")[0] for each in (before, after)}
    return len(scripts) == 1 and scripts <= _SCRIPTS
