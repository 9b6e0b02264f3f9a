"""The types of values in manifests.

msgspec checks them when a manifest is read: a value that its field does not allow makes the file damaged.
Nothing is checked when a record is made.
"""

import re
import sys
from typing import Annotated

from msgspec import Meta

# What no system can encode, or takes for the end.
_UNSOUND = r"\0\ud800-\udc7f\udd00-\udfff"
_TEXT = rf"\A[^{_UNSOUND}]*\Z"
# No part of a name leads out of a folder, on Windows either, and none is longer than file systems allow.
_PART = rf"(?!\.{{1,2}}(?:/|\Z))[^/\\:{_UNSOUND}]{{1,255}}"

Text = Annotated[str, Meta(pattern=_TEXT)]
"""Can be a path: the system can encode it, and it holds no zero byte."""

Name = Annotated[str, Meta(pattern=rf"\A{_PART}\Z")]
"""Of one file or folder."""

Place = Annotated[str, Meta(pattern=rf"\A{_PART}(?:/{_PART})*\Z")]
"""Of a file below a folder, relative to it."""

FaceId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}#[0-9]{1,6}\Z")]
"""`<sha256 of the image>#<ordinal of the face in it>`."""

Integer = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""Fits into 64 bits."""

Finite = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""Neither NaN nor infinite."""

Paths = Annotated[tuple[Text, ...], Meta(min_length=1)]
Box = Annotated[tuple[Finite, ...], Meta(min_length=4, max_length=4)]
CropSquare = Annotated[tuple[Integer | Finite, ...], Meta(min_length=3, max_length=3)]
"""Whole numbers stay whole, so that a manifest that was read is written to the same bytes."""

Keypoints = Annotated[tuple[float, ...], Meta(min_length=10, max_length=10)]
"""NaN where they are unknown."""

_sound_text = re.compile(_TEXT)


def is_sound_text(value: str) -> bool:
    """Whether a text can be a path; see `Text`."""
    return _sound_text.match(value) is not None
