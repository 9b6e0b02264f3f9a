"""The options of the commands that add to results."""

from dataclasses import dataclass
from typing import Annotated

from facesets.operations.options.centroid_distance import centroid_distance
from facesets.operations.options.declaration import Checked, Option
from facesets.operations.options.shared import (
    MIN_BLUR,
    MIN_DET_SCORE,
    MIN_SHORT,
    DryRun,
    MinBlur,
    MinDetScore,
    MinNorm,
    MinShort,
    Replace,
    SameImageOk,
    Sheet,
)


@dataclass(frozen=True, slots=True)
class ExtendOptions(Checked):
    """How `extend` adds faces. All else is as it was when the results were made."""

    threshold: Annotated[
        float | None,
        centroid_distance("Most cosine distance of a new face from the person that it joins.", usual=0.55),
    ] = None
    cluster_threshold: Annotated[
        float, Option("Cosine distance at which the other new faces are clustered.", least=0, most=2)
    ] = 0.55
    same_image_ok: SameImageOk = False
    sheet: Sheet = True
    replace: Replace = False
    dry_run: DryRun = False


@dataclass(frozen=True, slots=True)
class DiscoverOptions(Checked):
    """Whom `discover` knows. All else is as `refine` and `export-swap` have it."""

    known_threshold: Annotated[
        float | None,
        centroid_distance("A face this close in cosine distance to a known face set is known.", usual=0.45),
    ] = None


@dataclass(frozen=True, slots=True)
class ImportFoldersOptions(Checked):
    """How `import-folders` finds the person of a folder that somebody sorted."""

    first_threshold: Annotated[
        float,
        Option(
            "Cosine distance from the folder's centroid beyond which a face is a bystander, first pass.",
            least=0,
            most=2,
        ),
    ] = 0.55
    second_threshold: Annotated[float, Option("The same in the second pass.", least=0, most=2)] = 0.45
    route_threshold: Annotated[
        float | None,
        centroid_distance(
            "Cosine distance within which a face of a mixed folder is that person.", usual=0.45
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class SplitErasOptions(Checked):
    """How `split-eras` finds a person's faces again, and cuts them into eras."""

    recover_threshold: Annotated[
        float | None,
        centroid_distance(
            "Cosine distance from the set's centroid within which faces are found.", usual=0.55
        ),
    ] = None
    recentre_threshold: Annotated[
        float | None,
        centroid_distance("Cosine distance from their common centroid within which they stay.", usual=0.50),
    ] = None
    split_threshold: Annotated[
        float,
        Option("Cosine distance at which average linkage is cut into sub-clusters.", least=0, most=2),
    ] = 0.35
    join_threshold: Annotated[
        float,
        Option("Cosine distance from its nearest anchor within which a fragment joins it.", least=0, most=2),
    ] = 0.40
    join_years: Annotated[int, Option("Most years between their dominant capture years.", least=0)] = 5
    min_era_faces: Annotated[
        int, Option("Fewest faces of an anchor, and of an era that is not thin.", least=2)
    ] = 20
    min_fragment_faces: Annotated[
        int, Option("Fewest faces of a fragment that becomes a thin era of its own.", least=1)
    ] = 2
    min_short: MinShort = MIN_SHORT
    min_blur: MinBlur = MIN_BLUR
    min_det_score: MinDetScore = MIN_DET_SCORE
    min_norm: MinNorm = None
