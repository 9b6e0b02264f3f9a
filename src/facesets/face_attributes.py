"""Age and sex of faces, as estimated by attribute models."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facesets.records import Float32


@dataclass(frozen=True, slots=True)
class FaceAttributes:
    """The output of an attribute model for the faces of one picture.

    Attributes
    ----------
    age : float32 array of shape (n,)
        Years.
    male : float32 array of shape (n,)
        How likely the face is a man's, from 0 to 1.
    raw : float32 array of shape (n, k)
        The model's own output.
    says : tuple of k texts
        The names of its numbers.
    """

    age: Float32
    male: Float32
    raw: Float32
    says: tuple[str, ...]


Sex = Literal["M", "F", "U"]
"""The sex of a face; `U` if unknown."""

SURE_OF_SEX = 0.8
"""Minimum probability of a sex; below it, the sex is unknown."""


def sexes(male: Float32) -> NDArray[np.bytes_]:
    """Return `M`, `F` or `U` by how likely faces are men's; empty for NaN."""
    known = np.where(male >= SURE_OF_SEX, b"M", np.where(male <= 1 - SURE_OF_SEX, b"F", b"U"))
    letters: NDArray[np.bytes_] = np.where(np.isnan(male), b"", known).astype("S1")
    return letters
