"""What similarities mean to recognisers that were measured beforehand.

Where the faces at hand are too few to measure anything, these values take the place of measured ones.
`scripts/benchmarks/recogniser.py` measures them, on faces whose people are known.
"""

from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, slots=True)
class Recogniser:
    """What was measured of a recogniser. All are cosine similarities.

    Attributes
    ----------
    typical : float
        Mean similarity inside a typical person.
    middle, spread : float
        Median and standard deviation of the similarities of strangers.
    by_pairs_only : bool
        Whether people are told apart by the mean similarity of pairs alone. Mean vectors then draw in
        strangers, and what is measured without labels misleads: these values are taken as they are.
    merge_max_cosine_distance : float
        Up to which the centroids of two clusters belong to one person.
    source : str
        Where these come from, in words.
    is_sure : bool
        Whether it was measured, and not merely assumed.
    """

    typical: float
    middle: float
    spread: float
    source: str
    is_sure: bool = True
    by_pairs_only: bool = False
    merge_max_cosine_distance: float = 0.40


ARCFACE = Recogniser(0.6, 0.01, 0.065, "as usual with ArcFace", is_sure=False)
"""For recognisers that nobody measured: those trained with ArcFace's loss differ little from each other."""

_MEASURED = {
    "w600k_mbf": Recogniser(0.6, 0.014, 0.067, "as measured of w600k_mbf on news photos"),
    "dlib_resnet": Recogniser(
        0.613,
        0.175,
        0.07,
        "as measured of the open pack on news photos",
        by_pairs_only=True,
        merge_max_cosine_distance=0.30,
    ),
}


def recogniser_named(file_name: str | None) -> Recogniser:
    """What is known of the network in a file of that name; of an unknown one, what is usual."""
    return _MEASURED.get(PurePath(file_name or "").stem, ARCFACE)
