"""The options of the commands that add to results, and of those that make face sets of them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from facesets.errors import WrongUsage
from facesets.files import printable
from facesets.formats.face_models.kinds import FORMATS, Format
from facesets.operations.options.declaration import Checked, Option, centroid_distance, check_ranges
from facesets.operations.options.shared import (
    MIN_BLUR,
    MIN_DET_SCORE,
    MIN_SHORT,
    DryRun,
    MaxAge,
    MinAge,
    MinBlur,
    MinDetScore,
    MinNorm,
    MinShort,
    Replace,
    SameImageOk,
    Sheet,
    require_order,
)


def formats_named(flag: str, text: str) -> tuple[Format, ...]:
    """Read format names separated by commas; return each once, in the order of the formats.

    Raises
    ------
    WrongUsage
        A name is not a format, or none is given.
    """
    named = {part.strip() for part in text.split(",") if part.strip()}
    unknown = sorted(named.difference(FORMATS))
    if unknown or not named:
        wrong = f" {printable(unknown[0])} is not a known format" if unknown else ": no format given"
        raise WrongUsage(f"{flag}{wrong}. Give one or more of {', '.join(FORMATS)}.")
    return tuple(each for each in FORMATS if each in named)


Formats = Annotated[
    tuple[Format, ...],
    Option(
        f"Formats to write beside the crops, separated by commas: {', '.join(FORMATS)}; "
        "see docs/face-sets.md.",
        metavar="NAME,...",
        unset="fsz",
        parse=formats_named,
    ),
]

Select = Literal["best", "diverse"]


@dataclass(frozen=True, slots=True)
class EnrichOptions(Checked):
    """Options of `enrich`."""

    min_overlap: Annotated[
        float,
        Option(
            "Minimum overlap (IoU) of a cached box with the one detected again.",
            least=0,
            most=1,
            advanced=True,
        ),
    ] = 0.5
    flush_every: Annotated[
        int, Option("Photos between flushes; a crash loses at most this many.", least=1, advanced=True)
    ] = 50
    again: Annotated[
        bool,
        Option("Try faces again that were not found last time.", flag="--force", synonyms="--again"),
    ] = False
    dry_run: DryRun = False


LOADER_DET_SIZE = 640

LOADER_MIN_DET_SCORE = 0.5
"""Detection settings of roop-unleashed's loader for the pictures of a bundle."""

VERIFY_MIN_DET_SCORE = 0.35
"""The score from which a bystander in a crop counts. Lower than the loader's, because its detector differs
from ours: faces that ours scores just below 0.5 were found by another SCRFD in 4 % of the crops."""


@dataclass(frozen=True, slots=True)
class ExportSwapOptions(Checked):
    """Options of `export-swap`.

    Attributes
    ----------
    duplicate_max_bits : int
        Maximum bits, of 256, in which the aligned faces of two visual duplicates differ.
    duplicate_max_distance : float
        Maximum cosine distance between the embeddings of two visual duplicates.
    verify_max_distance : float
        Maximum cosine distance between the cached embedding and that of the face found again in the PNG.
    """

    top_n: Annotated[int, Option("Number of faces in the smaller bundle.", least=1)] = 30
    # Stricter than refine: averaging needs a clean core.
    outlier_threshold: Annotated[
        float, Option("Maximum cosine distance of a face from the set's centroid.", least=0, most=2)
    ] = 0.45
    pad_ratio: Annotated[
        float,
        Option("Padding around the box, in multiples of its longer edge.", least=0, most=5, advanced=True),
    ] = 0.5
    out_size: Annotated[int, Option("Edge of a PNG.", least=64, most=4096, metavar="PX")] = 512
    min_face_short: Annotated[
        float, Option("Minimum short edge of the box of an exported face.", least=0, metavar="PX")
    ] = 100
    min_norm: MinNorm = None
    min_age: MinAge = None
    max_age: MaxAge = None
    duplicate_max_bits: int = 48
    duplicate_max_distance: float = 0.15
    verify_max_distance: float = 0.40
    select: Annotated[
        Select,
        Option("Choose the best faces for the smaller bundle and the face models, or good and diverse ones."),
    ] = "best"
    era: Annotated[bool, Option("Use only the era of the person with the most faces.")] = False
    formats: Formats = ("fsz",)
    candidates: Annotated[bool, Option("Match unassigned faces to the sets, for review in _candidates.")] = (
        False
    )
    candidate_match_threshold: Annotated[
        float | None, centroid_distance("Maximum cosine distance of a candidate from its set.", usual=0.55)
    ] = None
    candidate_min_score: Annotated[
        float, Option("Minimum quality of a candidate.", least=0, most=1, advanced=True)
    ] = 0.40
    merge: Annotated[bool, Option("Add to the sets in OUT and keep those unchanged.")] = False
    sheet: Sheet = True
    replace: Replace = False
    dry_run: DryRun = False

    def __post_init__(self) -> None:
        check_ranges(self)
        require_order(self.min_age, self.max_age)


@dataclass(frozen=True, slots=True)
class DedupOptions(Checked):
    """Options of `dedup`."""

    # Measured on portraits (docs/manifests.md): unrelated pictures begin at 70, copies scaled or
    # recompressed end at 18.
    max_bits: Annotated[
        int,
        Option(
            "Maximum difference of two near-duplicates, in bits of a 256-bit perceptual hash.",
            least=0,
            most=256,
            advanced=True,
        ),
    ] = 48
    dry_run: DryRun = False


@dataclass(frozen=True, slots=True)
class ExtendOptions(Checked):
    """Options of `extend`. Others are those that the results were made with."""

    threshold: Annotated[
        float | None,
        centroid_distance(
            "Maximum cosine distance of a new face from the person that it joins.",
            usual=0.55,
            flag="--max-cosine-distance",
            synonyms="--threshold",
        ),
    ] = None
    cluster_threshold: Annotated[
        float, Option("Cosine distance for clustering the other new faces.", least=0, most=2, advanced=True)
    ] = 0.55
    same_image_ok: SameImageOk = False
    sheet: Sheet = True
    replace: Annotated[
        bool, Option("Continue RAW although it was made from another cache or library.", last=True)
    ] = False
    dry_run: DryRun = False


@dataclass(frozen=True, slots=True)
class DiscoverOptions(Checked):
    """Options of `discover` for known people. Others are as in `refine` and `export-swap`."""

    known_threshold: Annotated[
        float | None,
        centroid_distance(
            "Maximum cosine distance of a face from a known face set to count as known.", usual=0.45
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class ImportFoldersOptions(Checked):
    """Options of `import-folders`."""

    first_threshold: Annotated[
        float,
        Option(
            "Maximum cosine distance of a face from the folder's centroid, first pass; others are "
            "bystanders.",
            least=0,
            most=2,
            advanced=True,
        ),
    ] = 0.55
    second_threshold: Annotated[
        float, Option("The same for the second pass.", least=0, most=2, advanced=True)
    ] = 0.45
    route_threshold: Annotated[
        float | None,
        centroid_distance(
            "Maximum cosine distance for a face of a mixed folder to match a person.", usual=0.45
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class SplitErasOptions(Checked):
    """Options of `split-eras`."""

    recover_threshold: Annotated[
        float | None,
        centroid_distance(
            "Maximum cosine distance from the set's centroid for faces to be added.", usual=0.55
        ),
    ] = None
    recentre_threshold: Annotated[
        float | None,
        centroid_distance(
            "Maximum cosine distance from their common centroid for added faces to stay.", usual=0.50
        ),
    ] = None
    split_threshold: Annotated[
        float,
        Option(
            "Cosine distance at which average linkage is cut into sub-clusters.",
            least=0,
            most=2,
            advanced=True,
        ),
    ] = 0.35
    join_threshold: Annotated[
        float,
        Option(
            "Maximum cosine distance of a fragment from the anchor that it joins.",
            least=0,
            most=2,
            advanced=True,
        ),
    ] = 0.40
    join_years: Annotated[
        int, Option("Maximum number of years between their dominant capture years.", least=0, advanced=True)
    ] = 5
    min_era_faces: Annotated[
        int,
        Option(
            "Minimum number of faces of an anchor, and of an era that is not thin.", least=2, advanced=True
        ),
    ] = 20
    min_fragment_faces: Annotated[
        int,
        Option(
            "Minimum number of faces of a fragment that becomes a thin era of its own.",
            least=1,
            advanced=True,
        ),
    ] = 2
    min_short: MinShort = MIN_SHORT
    min_blur: MinBlur = MIN_BLUR
    min_det_score: MinDetScore = MIN_DET_SCORE
    min_norm: MinNorm = None
