"""What the commands on the library can be told."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from facesets.errors import WrongUsage
from facesets.operations.options.cache import Method
from facesets.operations.options.declaration import Checked, Option, moment
from facesets.operations.options.limits import within
from facesets.operations.options.shared import DryRun, RetryFailed


@dataclass(frozen=True, slots=True)
class IndexOptions(Checked):
    """How `index` works through its targets.

    Attributes
    ----------
    concurrency : int
        Threads, each of which takes a batch from file to faces, or requests under way at a service.
    batch_size : int
        Files that one thread takes at a time.
    flush_every : int
        Files after which is committed; each image is stored with all its faces or not at all.
    flush_every_s : float
        The same in seconds.
    """

    concurrency: int = 4
    batch_size: int = 1
    flush_every: int = 50
    flush_every_s: float = 5.0
    max_images: Annotated[int | None, Option("Look into so many files at most.", least=1)] = None
    max_minutes: Annotated[float | None, Option("Begin no further file after so long.", least=0)] = None
    prune: Annotated[bool, Option("Forget paths below the targets that are gone.")] = False
    retry_failed: RetryFailed = False
    dry_run: DryRun = False


def _day(flag: str, text: str) -> date:
    return moment(flag, text).date()


@dataclass(frozen=True, slots=True)
class SearchOptions(Checked):
    """What `search` looks for beside words."""

    like: Annotated[Path | None, Option("Photos similar to this one as a whole.", metavar="PHOTO")] = None
    face: Annotated[Path | None, Option("Faces similar to the largest on this photo.", metavar="PHOTO")] = (
        None
    )
    box: Annotated[
        str | None,
        Option(
            "With --face: the face here, in pixels of the upright photo, in place of the largest.",
            metavar="X1,Y1,X2,Y2",
        ),
    ] = None
    all_faces: Annotated[bool, Option("With --face: every face on the photo, one after the other.")] = False
    min_similarity: Annotated[
        float | None,
        Option(
            "With --face: least cosine similarity of a result.",
            least=-1,
            most=1,
            unset="as the recogniser has it for two photos of one person, 0.37 for most",
        ),
    ] = None
    person: Annotated[
        str | None, Option("Photos of this person; with the others, only those.", metavar="NAME")
    ] = None
    since: Annotated[
        date | None,
        Option(
            "Taken on this day or later.",
            metavar="DATE",
            flag="--from",
            variable="FACESETS_SEARCH_FROM",
            parse=_day,
        ),
    ] = None
    until: Annotated[
        date | None,
        Option(
            "Taken on this day or earlier.",
            metavar="DATE",
            flag="--to",
            variable="FACESETS_SEARCH_TO",
            parse=_day,
        ),
    ] = None
    limit: Annotated[int, Option("Most results.", least=1, most=10_000)] = 20


@dataclass(frozen=True, slots=True)
class ClusterLibraryOptions:
    """How `cluster` groups the faces of a library.

    Attributes
    ----------
    method : str
        `components`, `agglomerative`, `hdbscan` or `auto`.
    threshold : float or None
        Cosine similarity from which two faces belong together (components), or at which average linkage
        is cut; and from which a new face joins a known person. In [0, 1]; higher is stricter. None
        measures a fitting one on the faces, which `agglomerative` and `auto` can.
    min_size : int
        Fewest faces of a new person.
    min_cluster_size, min_samples : int
        Of `hdbscan`.
    same_image_ok : bool
        Two faces in one image may be one person. Otherwise `agglomerative` and `auto` keep them apart.
    dry_run : bool
        Say what would be done.
    """

    method: Method = "components"
    threshold: float | None = 0.65
    min_size: int = 2
    min_cluster_size: int = 5
    min_samples: int = 3
    same_image_ok: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.threshold is not None:
            within("threshold", self.threshold, 0, 1)
        elif self.method not in ("agglomerative", "auto"):
            raise WrongUsage(f"No threshold is measured for {self.method}. Give --threshold a number.")
        within("min-size", self.min_size, 1)
        within("min-cluster-size", self.min_cluster_size, 2)
        within("min-samples", self.min_samples, 1)
