"""Options that several commands share."""

from typing import Annotated

from facesets.errors import Field, WrongUsage
from facesets.imaging.limits import ABSOLUTE_MAX_PIXELS
from facesets.operations.options.declaration import Option
from facesets.results import Materialize

DryRun = Annotated[bool, Option("Preview changes without making them.", last=True)]
RetryFailed = Annotated[bool, Option("Try unreadable files again, even if unchanged.")]
FlushEvery = Annotated[
    int, Option("New files between flushes; a crash loses at most this many.", least=1, advanced=True)
]
FastDecode = Annotated[
    bool,
    Option(
        "Decode large JPEGs at half size or less: faster, with slightly different embeddings (see "
        "docs/large-libraries.md).",
        advanced=True,
    ),
]
MaxPixels = Annotated[
    int,
    Option(
        "Refuse photos with more pixels than this, before they are decoded.",
        least=1,
        most=ABSOLUTE_MAX_PIXELS,
        advanced=True,
        metavar="PX",
    ),
]
TrustMtime = Annotated[
    bool, Option("Use a file's modification time as the capture date if the photo has none.", advanced=True)
]
Enrich = Annotated[bool, Option("Also add landmarks and pose, as `enrich` does.")]
SameImageOk = Annotated[bool, Option("Allow two faces in one photo to be one person (collages, mirrors).")]
MinClusterSize = Annotated[
    int,
    Option(
        "hdbscan: minimum number of faces of a person.",
        least=2,
        unset="5; people of the library 3",
        advanced=True,
    ),
]
MinSamples = Annotated[
    int,
    Option(
        "hdbscan, dbscan: number of neighbours of a core face; dbscan counts the face itself.",
        least=1,
        unset="3; people of the library with hdbscan 2",
        advanced=True,
    ),
]
Eps = Annotated[
    float | None,
    Option(
        "dbscan: maximum cosine distance of two neighbours.",
        least=0,
        most=2,
        unset="that of the recognition model, usually 0.5",
        advanced=True,
    ),
]

MaterializeHow = Annotated[Materialize, Option("How photos get into the folders.")]
Sheet = Annotated[bool, Option("Draw contact sheets.", flag="--sheet/--no-sheet", last=True)]
Replace = Annotated[bool, Option("Overwrite OUT made from another cache or library.", last=True)]

MinShort = Annotated[float, Option("Minimum short edge of the box of a grouped face.", least=0, metavar="PX")]
MinBlur = Annotated[float, Option("Minimum sharpness (variance of the Laplacian).", least=0)]
MinNorm = Annotated[
    float | None,
    Option(
        "Minimum norm of the embedding, a measure of face quality; see docs/manifests.md.",
        least=0,
        unset="off",
        advanced=True,
    ),
]
MinDetScore = Annotated[float, Option("Minimum detector score.", least=0, most=1)]

MinAge = Annotated[float | None, Option("Minimum apparent age in years; see docs/photos.md.", least=0)]
MaxAge = Annotated[float | None, Option("Maximum apparent age in years.", least=0)]

MIN_SHORT, MIN_BLUR, MIN_DET_SCORE = 90, 40.0, 0.6
"""The default quality filter."""


def require_order(youngest: float | None, oldest: float | None) -> None:
    """Refuse an age range that no age passes. Raises `WrongUsage`."""
    if youngest is not None and oldest is not None and youngest > oldest:
        raise WrongUsage(
            f"{Field('min_age')} {youngest:g} is above {Field('max_age')} {oldest:g}, so no face can pass. "
            "Give the younger age first."
        )
