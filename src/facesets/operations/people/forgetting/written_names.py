"""A name in every form in which it may have been written."""

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from facesets.results.names.file_names import folder_name

_NO_WORD_BEFORE, _NO_WORD_AFTER = rb"(?<![A-Za-z0-9\x80-\xff])", rb"(?![A-Za-z0-9\x80-\xff])"


def written_forms(names: Iterable[str]) -> list[str]:
    """Return names composed, decomposed, percent-encoded, JSON-escaped, and as folder names."""
    forms: dict[str, None] = {}
    for name in names:
        for text in (unicodedata.normalize(form, name) for form in ("NFC", "NFD")):
            escaped = json.dumps(text)[1:-1]
            wide = json.dumps(text, ensure_ascii=False)[1:-1]
            for form in (text, quote(text), quote(text, safe=""), escaped, wide, folder_name(text)):
                forms[form] = None
            forms[text.replace(" ", "+")] = None
    return list(forms)


def sql_pattern(forms: Sequence[str]) -> str:
    """Return a PostgreSQL regular expression for any of some texts as whole words, ignoring case."""
    escaped = "|".join(re.sub(r"([^\w\s])", r"\\\1", form) for form in forms)
    return rf"(^|[^[:alnum:]])({escaped})($|[^[:alnum:]])"


def holds_name(content: bytes, forms: Sequence[str]) -> bool:
    """Whether bytes contain any of some texts as whole words, in UTF-8 or UTF-16."""
    for form in {
        variant for each in forms for variant in (each, each.lower(), each.upper(), each.casefold())
    }:
        narrow = form.encode("utf-8", "backslashreplace")
        # Searching for bytes is many times faster than for a pattern.
        if narrow in content and re.search(_NO_WORD_BEFORE + re.escape(narrow) + _NO_WORD_AFTER, content):
            return True
        for encoding in ("utf-16-le", "utf-16-be"):
            if len(form) > 1 and form.encode(encoding, "surrogatepass") in content:
                return True
    return False
