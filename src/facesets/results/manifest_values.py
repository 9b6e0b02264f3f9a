"""The types of values in manifests.

msgspec checks them when a manifest is read: a value that its field does not allow makes the file damaged.
Nothing is checked when a record is made.
"""

import re
import sys
from typing import Annotated

from msgspec import Meta

# Characters that no system can encode, or that end a text.
_UNSOUND = r"\0\ud800-\udc7f\udd00-\udfff"
_TEXT = rf"\A[^{_UNSOUND}]*\Z"
# No part of a name leads out of a folder, on Windows either, and none is longer than file systems allow.
_PART = rf"(?!\.{{1,2}}(?:/|\Z))[^/\\:{_UNSOUND}]{{1,255}}"

Text = Annotated[str, Meta(pattern=_TEXT)]
"""A text that can be a path: the system can encode it, and it holds no zero byte."""

Name = Annotated[str, Meta(pattern=rf"\A{_PART}\Z")]
"""The name of one file or folder."""

Place = Annotated[str, Meta(pattern=rf"\A{_PART}(?:/{_PART})*\Z")]
"""The path of a file below a folder, relative to it."""

FaceId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}#[0-9]{1,6}\Z")]
"""`<sha256 of the image>#<ordinal of the face in it>`."""

Integer = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
"""An integer of at most 64 bits."""

Finite = Annotated[float, Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""A number that is neither NaN nor infinite."""

Paths = Annotated[tuple[Text, ...], Meta(min_length=1)]
Box = Annotated[tuple[Finite, ...], Meta(min_length=4, max_length=4)]
CropSquare = Annotated[tuple[Integer | Finite, ...], Meta(min_length=3, max_length=3)]
"""x, y and edge; whole numbers stay whole, so that a manifest that was read is written to the same bytes."""

Keypoints = Annotated[tuple[float, ...], Meta(min_length=10, max_length=10)]
"""Five times x, y; NaN if unknown."""

_sound_text = re.compile(_TEXT)


def is_sound_text(value: str) -> bool:
    """Whether a text can be a path; see `Text`."""
    return _sound_text.match(value) is not None
