"""The report of `dedup` on files with the same bytes, and on images that look the same."""

from dataclasses import dataclass
from typing import ClassVar

from facesets.results.manifest import Failure, Provenance
from facesets.results.manifest_values import Integer, Text


@dataclass(frozen=True, slots=True)
class IdenticalFiles:
    """Several files with the same bytes. `size` is that of one of them; `keep` is the first of `paths`."""

    sha256: Text
    size: Integer
    keep: Text
    paths: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """One image of a group that looks the same.

    Attributes
    ----------
    bits : int
        Bits of 256 in which its fingerprint differs from that of the image to keep.
    sharpness : float or None
        Variance of the Laplacian; measured only if resolution does not decide.
    """

    sha256: Text
    paths: tuple[Text, ...]
    width: Integer
    height: Integer
    size: Integer
    sharpness: float | None
    bits: Integer


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Images that look the same; `keep` is the sha256 of the one worth keeping, which comes first."""

    keep: Text
    images: tuple[NearDuplicate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesReport:
    """The findings of `dedup`."""

    FORMAT: ClassVar[str] = "facesets/duplicates"
    VERSION: ClassVar[int] = 1

    made: Provenance
    counts: dict[Text, Integer]
    identical: tuple[IdenticalFiles, ...]
    near: tuple[NearDuplicates, ...]
    failed: tuple[Failure, ...]
