"""Record of our content in a sidecar, so that only that is ever changed.

Names are stored as keyed hashes: of a forgotten person nothing readable stays behind, and yet what was
written about them is known again, and can be removed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from facesets.formats.named_photos import Box

Digest = str
OurRegion = tuple[Digest, Box]

_TOLERANCE = 0.005
"""Fractions of the picture: programs that write a region again round it to their pixels."""
_DIGEST_BYTES = 12

WHOLE_FILE = "file"
"""Among what was made: the sidecar itself."""


@dataclass(frozen=True, slots=True)
class Ours:
    """Our content in a sidecar.

    Attributes
    ----------
    mwg, microsoft
        Regions: the hash of a name, and the box.
    texts
        Hashes of keywords, each with the list that it is in.
    made
        Elements that hold these and that were not there before, by names of this package's own.
    """

    mwg: tuple[OurRegion, ...] = ()
    microsoft: tuple[OurRegion, ...] = ()
    texts: frozenset[Digest] = frozenset()
    made: frozenset[str] = frozenset()

    @property
    def is_nothing(self) -> bool:
        """Whether nothing in the sidecar is ours."""
        return not (self.mwg or self.microsoft or self.texts or self.made)


NOTHING = Ours()


class Hasher:
    """Hashes by the key of one library."""

    def __init__(self, key: str) -> None:
        self._key = hashlib.blake2b(key.encode(), digest_size=32).digest()

    def __call__(self, *texts: str) -> Digest:
        """The hash of some texts in this order."""
        joined = "\0".join(texts).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(joined, key=self._key, digest_size=_DIGEST_BYTES).hexdigest()


def is_near(a: Box, b: Box) -> bool:
    """Whether two boxes are the same within rounding."""
    return all(abs(x - y) <= _TOLERANCE for x, y in zip(a, b, strict=True))


def to_json(ours: Ours) -> dict[str, Any]:
    """As JSON holds it."""
    return {
        "mwg": [[digest, *box] for digest, box in ours.mwg],
        "microsoft": [[digest, *box] for digest, box in ours.microsoft],
        "texts": sorted(ours.texts),
        "made": sorted(ours.made),
    }


def from_json(raw: Mapping[str, Any]) -> Ours:
    """The inverse of `to_json`."""
    return Ours(
        _regions(raw["mwg"]), _regions(raw["microsoft"]), frozenset(raw["texts"]), frozenset(raw["made"])
    )


def _regions(raw: Iterable[Any]) -> tuple[OurRegion, ...]:
    return tuple(
        (str(digest), (float(x1), float(y1), float(x2), float(y2))) for digest, x1, y1, x2, y2 in raw
    )
