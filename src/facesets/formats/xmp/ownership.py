"""Record our content in a sidecar, so that nothing else is ever changed.

Names are stored as keyed hashes: nothing readable about an erased person remains, but what was written about
them is recognized and can be removed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from facesets.formats.named_photos import Box

Digest = str
OurRegion = tuple[Digest, Box]

_TOLERANCE = 0.005
"""Maximum difference in fractions: programs that rewrite a region round it to their pixels."""
_DIGEST_BYTES = 12

WHOLE_FILE = "file"
"""Marks, among created elements, that we created the sidecar itself."""


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
    """Hashes texts with the key of one library."""

    def __init__(self, key: str) -> None:
        self._key = hashlib.blake2b(key.encode(), digest_size=32).digest()

    def __call__(self, *texts: str) -> Digest:
        """Return the hash of some texts in this order."""
        joined = "\0".join(texts).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(joined, key=self._key, digest_size=_DIGEST_BYTES).hexdigest()


def is_near(a: Box, b: Box) -> bool:
    """Whether two boxes are the same within rounding."""
    return all(abs(x - y) <= _TOLERANCE for x, y in zip(a, b, strict=True))


def to_json(ours: Ours) -> dict[str, Any]:
    """Return the record as JSON values."""
    return {
        "mwg": [[digest, *box] for digest, box in ours.mwg],
        "microsoft": [[digest, *box] for digest, box in ours.microsoft],
        "texts": sorted(ours.texts),
        "made": sorted(ours.made),
    }


def from_json(raw: Mapping[str, Any]) -> Ours:
    """Return the record that `to_json` returned."""
    return Ours(
        _regions(raw["mwg"]), _regions(raw["microsoft"]), frozenset(raw["texts"]), frozenset(raw["made"])
    )


def _regions(raw: Iterable[Any]) -> tuple[OurRegion, ...]:
    return tuple(
        (str(digest), (float(x1), float(y1), float(x2), float(y2))) for digest, x1, y1, x2, y2 in raw
    )
