"""Texts and JSON from files in a form that PostgreSQL takes: it knows no NUL, no half characters, no NaN."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_SUSPICIOUS = re.compile(r"\\u0000|\\u[dD][89a-fA-F]|NaN|Infinity")


def storable(text: str) -> str:
    """A text without NUL, and with a `?` for each half of a character."""
    if text.isascii() and "\0" not in text:
        return text
    return _UNSTORABLE.sub(lambda each: "" if each[0] == "\0" else "?", text)


def json_text(value: object) -> str:
    """JSON of a value; numbers that it does not know become null."""
    text = json.dumps(value, default=dict)
    # Hardly ever is anything wrong, and to look at each value takes longer than to write them all.
    return json.dumps(_cleaned(value)) if _SUSPICIOUS.search(text) else text


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {storable(str(key)): _cleaned(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(each) for each in value]
    return value
