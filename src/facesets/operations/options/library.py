"""The options of the commands on the library."""

import re
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Annotated

from facesets.ages import AgeRange
from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.imaging.limits import MAX_PIXELS
from facesets.operations.options.ages import age_range
from facesets.operations.options.declaration import Checked, Option, check_number, check_ranges, day
from facesets.operations.options.place import USUAL_KM, place_named
from facesets.operations.options.shared import (
    DryRun,
    Enrich,
    Eps,
    FastDecode,
    MaxPixels,
    MinClusterSize,
    MinSamples,
    RetryFailed,
    SameImageOk,
    TrustMtime,
)
from facesets.operations.options.stages import IN_EVERY_RUN, Stages
from facesets.operations.options.threshold import (
    Method,
    Threshold,
    measure_of,
    measures_itself,
    other_measure,
)
from facesets.places import Near


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
    fast_decode: FastDecode = False
    max_pixels: MaxPixels = MAX_PIXELS
    enrich: Enrich = False
    stages: Stages = IN_EVERY_RUN
    trust_mtime: TrustMtime = False
    dry_run: DryRun = False

    @property
    def workers(self) -> int:
        """What `embed` calls the same."""
        return self.concurrency


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
        tuple[str, ...],
        Option("Photos of this person. With several, all of them are on the photo.", metavar="NAME"),
    ] = ()
    since: Annotated[
        date | None,
        Option(
            "Taken on this day or later.",
            metavar="DATE",
            flag="--from",
            variable="FACESETS_SEARCH_FROM",
            parse=day,
        ),
    ] = None
    until: Annotated[
        date | None,
        Option(
            "Taken on this day or earlier.",
            metavar="DATE",
            flag="--to",
            variable="FACESETS_SEARCH_TO",
            parse=day,
        ),
    ] = None
    near: Annotated[
        Near | None,
        Option(
            f"Taken within so many kilometres of this place, {USUAL_KM:g} if not given. Degrees, north and "
            "east positive; before a minus stands an equals sign: --near=-33.86,151.21.",
            metavar="LAT,LON[,KM]",
            parse=place_named,
        ),
    ] = None
    camera: Annotated[
        str | None, Option("Taken with such a camera or lens: words of its name.", metavar="TEXT")
    ] = None
    tag: Annotated[
        tuple[str, ...],
        Option(
            "With this tag, such as beach, or with its category, emotion:happy. With several, all of them. "
            "With --person, a tag of faces is one of that person's face; with several people, of any.",
            metavar="TAG",
        ),
    ] = ()
    words: Annotated[
        str | None,
        Option("Photos whose description (see `describe`) has these words.", metavar="WORDS"),
    ] = None
    age: Annotated[
        AgeRange | None,
        Option(
            "With --person: only photos on which they are so old, in full years, such as 5-8; with several "
            "people, any of them.",
            metavar="YEARS",
            parse=age_range,
        ),
    ] = None
    limit: Annotated[int, Option("Most results.", least=1, most=10_000)] = 20


def _month(flag: str, text: str) -> str:
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", text) is None:
        raise WrongUsage(f"{flag} {printable(text)} is no month. Give one such as 2024-05.")
    return text


_USUAL_THRESHOLD = 0.65
"""Cosine similarity for people of the library, by methods that are given no other and measure none."""


@dataclass(frozen=True, slots=True)
class ClusterLibraryOptions(Checked):
    """How `cluster` groups the faces of a library.

    Attributes
    ----------
    threshold : float or None
        Cosine similarity from which two faces belong together (components), or at which average linkage
        is cut; and from which a new face joins a known person, by the mean of that person's faces where the
        method goes by means. None measures a fitting one on the faces, which `agglomerative` and `auto` can.
    same_image_ok : bool
        Two faces in one image may be one person. Otherwise all methods but `components` keep them apart.
    """

    method: Method = "auto"
    threshold: float | None = None
    min_size: Annotated[
        int,
        Option("People of the library: fewest faces of a new one; 1 gives every face a person.", least=1),
    ] = 2
    min_cluster_size: MinClusterSize = 3
    min_samples: MinSamples = 2
    eps: Eps = None
    min_quality: Annotated[
        float, Option("People of the library: least quality of a face that is grouped.", least=0, most=1)
    ] = 0.0
    max_faces: Annotated[
        int,
        Option(
            "People of the library, hdbscan: so many faces make the hierarchy, the best ones; the others "
            "are placed in it.",
            least=2,
        ),
    ] = 50_000
    time_bucket: Annotated[
        str | None,
        Option(
            "People of the library: only faces on photos taken in this month.",
            metavar="YYYY-MM",
            parse=_month,
        ),
    ] = None
    full: Annotated[
        bool, Option("People of the library, hdbscan: make the hierarchy again, rather than add to it.")
    ] = False
    same_image_ok: SameImageOk = False
    dry_run: DryRun = False

    def __post_init__(self) -> None:
        check_ranges(self)
        check_number("--threshold", self.threshold, 0, 1)
        # Of the default this is known without the methods, which bring SciPy: help texts make these options.
        if self.threshold is None and self.method != "auto" and not measures_itself(self.method):
            raise WrongUsage(
                f"No threshold is measured for {self.method}. Give {Field('threshold')} a number."
            )

    def own_threshold(self) -> float | None:
        """The threshold that the method goes by, in its own measure; None if it has or is given none."""
        if self.method == "dbscan":
            return self.eps
        measure = measure_of(self.method)
        if measure is None or self.threshold is None:
            return None
        return self.threshold if measure == "min_cosine_similarity" else other_measure(self.threshold)

    def chosen(self, method: Method | None, said: Threshold | None) -> "ClusterLibraryOptions":
        """The same with a method and a threshold; plain thresholds are cosine similarities.

        A threshold alone means connected components, as it did before there was another method.

        Raises
        ------
        WrongUsage
            There is no such threshold.
        """
        chosen = method or (self.method if said is None else "components")
        if said is None:
            return replace(self, method=chosen, threshold=None if chosen == "auto" else _USUAL_THRESHOLD)
        similarity = None if said.value is None else said.in_measure("min_cosine_similarity", 0, 1)
        return replace(self, method=chosen, threshold=similarity)
