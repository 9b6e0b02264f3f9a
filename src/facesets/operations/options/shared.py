"""Options that several commands share."""

from typing import Annotated

from facesets.errors import Field, WrongUsage
from facesets.imaging.limits import MOST_PIXELS
from facesets.operations.options.declaration import Option
from facesets.results import Materialize

DryRun = Annotated[bool, Option("Say what would be done, and do nothing.", last=True)]
RetryFailed = Annotated[bool, Option("Try unreadable files again, though unchanged.")]
FlushEvery = Annotated[
    int, Option("New files between flushes: so many are lost at most by a crash.", least=1, advanced=True)
]
FastDecode = Annotated[
    bool,
    Option(
        "Decode large JPEGs at a half or less: faster, at the cost of slightly other vectors "
        "(docs/throughput.md says how much).",
        advanced=True,
    ),
]
MaxPixels = Annotated[
    int,
    Option(
        "Refuse larger pictures, before they are decoded: width times height.",
        least=1,
        most=MOST_PIXELS,
        advanced=True,
        metavar="PX",
    ),
]
TrustMtime = Annotated[
    bool,
    Option(
        "Where nothing else says when a photo was taken, believe when its file was last changed.",
        advanced=True,
    ),
]
Enrich = Annotated[bool, Option("Add landmarks and pose in the same pass, as `enrich` does later.")]
SameImageOk = Annotated[bool, Option("Two faces in one photo may be one person (collages, mirrors).")]
MinClusterSize = Annotated[
    int,
    Option("hdbscan: fewest faces of a person.", least=2, unset="5; people of the library 3", advanced=True),
]
MinSamples = Annotated[
    int,
    Option(
        "hdbscan, dbscan: neighbours that make a dense place; dbscan counts the face itself.",
        least=1,
        unset="3; people of the library with hdbscan 2",
        advanced=True,
    ),
]
Eps = Annotated[
    float | None,
    Option(
        "dbscan: cosine distance up to which two faces are neighbours.",
        least=0,
        most=2,
        unset="as the recogniser has it, 0.5 for most",
        advanced=True,
    ),
]

MaterializeHow = Annotated[Materialize, Option("How photos get there.")]
Sheet = Annotated[bool, Option("Draw contact sheets.", flag="--sheet/--no-sheet", last=True)]
Replace = Annotated[bool, Option("Write though OUT is the result of another cache or library.", last=True)]

MinShort = Annotated[float, Option("Fewest pixels of the short edge of the box.", least=0, metavar="PX")]
MinBlur = Annotated[float, Option("Least sharpness, as variance of the Laplacian.", least=0)]
MinNorm = Annotated[
    float | None,
    Option(
        "Least norm of the embedding, which says how much the face shows; see docs/manifests.md.",
        least=0,
        unset="off",
        advanced=True,
    ),
]
MinDetScore = Annotated[float, Option("Least detector score.", least=0, most=1)]

MinAge = Annotated[
    float | None, Option("Only faces that look so old or older, in years; see docs/photos-ages.md.", least=0)
]
MaxAge = Annotated[float | None, Option("Only faces that look so old or younger, in years.", least=0)]

MIN_SHORT, MIN_BLUR, MIN_DET_SCORE = 90, 40.0, 0.6
"""The quality gate of those who ask for nothing else."""


def require_order(youngest: float | None, oldest: float | None) -> None:
    """Refuse a gate that no age passes. Raises `WrongUsage`."""
    if youngest is not None and oldest is not None and youngest > oldest:
        raise WrongUsage(
            f"{Field('min_age')} {youngest:g} is above {Field('max_age')} {oldest:g}, so that no face "
            "is left. Give the younger age to the first."
        )
