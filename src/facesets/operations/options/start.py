"""The options of `embed`, `cluster` into folders, and `refine`."""

from dataclasses import dataclass, replace
from typing import Annotated

from facesets.imaging.limits import MAX_PIXELS
from facesets.operations.options.declaration import (
    Checked,
    Option,
    check_number,
    check_ranges,
    whole_number_or_auto,
)
from facesets.operations.options.grouping import Method, Threshold, measure_of, refuse
from facesets.operations.options.index import IN_CACHES, CacheStages
from facesets.operations.options.shared import (
    MIN_BLUR,
    MIN_DET_SCORE,
    MIN_SHORT,
    DryRun,
    Enrich,
    Eps,
    FastDecode,
    FlushEvery,
    MaterializeHow,
    MaxAge,
    MaxPixels,
    MinAge,
    MinBlur,
    MinClusterSize,
    MinDetScore,
    MinNorm,
    MinSamples,
    MinShort,
    Replace,
    RetryFailed,
    SameImageOk,
    Sheet,
    TrustMtime,
    require_order,
)

SMALLEST_MIN_FACES, LARGEST_MIN_FACES = 3, 15
"""Limits of the automatic minimum number of distinct images in a face set."""

OUTLIER_MIN_CLUSTER = 4
"""Minimum number of faces of a cluster that can have outliers."""


@dataclass(frozen=True, slots=True)
class EmbedOptions(Checked):
    """Options of `embed`.

    Attributes
    ----------
    flush_every_s : float
        Maximum seconds between flushes, which limits the loss in a crash.
    workers : int
        Number of threads, each of which takes a batch from file to faces.
    batch_size : int
        Number of files that a worker takes at a time.
    """

    flush_every: FlushEvery = 50
    flush_every_s: float = 10.0
    workers: int = 1
    batch_size: int = 1
    retry_failed: RetryFailed = False
    prune: Annotated[bool, Option("Also remove missing files of other folders from the cache.")] = False
    fast_decode: FastDecode = False
    max_pixels: MaxPixels = MAX_PIXELS
    enrich: Enrich = False
    trust_mtime: TrustMtime = False
    stages: CacheStages = IN_CACHES
    dry_run: DryRun = False


DET_SIZE, MIN_DETECTION_SCORE = 640, 0.5

_DET_SIZE = Option(
    "Edge of the detector's input, in pixels.",
    least=32,
    most=8192,
    unset=f"that of the cache or the library, else {DET_SIZE}",
)

_MIN_SCORE = Option(
    "Minimum detector score of a face.",
    least=0,
    most=1,
    unset=f"that of the cache or the library, else {MIN_DETECTION_SCORE}",
)

DetSize = Annotated[int | None, _DET_SIZE]
LeastDetectionScore = Annotated[float | None, _MIN_SCORE]


@dataclass(frozen=True, slots=True)
class DetectionOptions(Checked):
    """Options of detection, with a model pack by name or path."""

    pack: str = "buffalo_l"
    det_size: Annotated[int, _DET_SIZE] = DET_SIZE
    min_det_score: Annotated[float, _MIN_SCORE] = MIN_DETECTION_SCORE


@dataclass(frozen=True, slots=True)
class ClusterOptions(Checked):
    """Options of `cluster` into folders. `chosen` sets method and threshold.

    Attributes
    ----------
    method : str
        `auto` measures the similarities of the faces, and needs no threshold.
    threshold : float or None
        Cosine distance at which `agglomerative` cuts average linkage; None to measure it on the faces.
    min_cosine_similarity : float
        Cosine similarity from which `components` connects two faces.
    """

    method: Method = "auto"
    threshold: float | None = 0.55
    min_cosine_similarity: float = 0.65
    min_cluster_size: MinClusterSize = 5
    min_samples: MinSamples = 3
    eps: Eps = None
    same_image_ok: SameImageOk = False
    materialize: MaterializeHow = "copy"
    sheet: Sheet = True
    replace: Replace = False
    dry_run: DryRun = False

    def __post_init__(self) -> None:
        check_ranges(self)
        check_number("--threshold", self.threshold, 0, 2)
        check_number("--min-cosine-similarity", self.min_cosine_similarity, -1, 1)

    def own_threshold(self) -> float | None:
        """Return the method's threshold in its own measure; None without one."""
        measure = measure_of(self.method)
        if measure is None:
            return None
        if self.method == "dbscan":
            return self.eps
        return self.threshold if measure == "max_cosine_distance" else self.min_cosine_similarity

    def with_own_threshold(self, value: float) -> "ClusterOptions":
        """Return the options with another threshold, in the measure of the method.

        Raises
        ------
        WrongUsage
            The method has no threshold, or not in this measure.
        """
        measure = measure_of(self.method)
        if measure is None:
            raise refuse(self.method)
        if self.method == "dbscan":
            return replace(self, eps=value)
        if measure == "max_cosine_distance":
            return replace(self, threshold=value)
        return replace(self, min_cosine_similarity=value)

    def chosen(self, method: Method | None, threshold: Threshold | None) -> "ClusterOptions":
        """Return the options with a method and a threshold; plain thresholds are cosine distances.

        A threshold alone means average linkage, as in versions with that method only.

        Raises
        ------
        WrongUsage
            The method has no such threshold.
        """
        if threshold is None:
            return self if method is None else replace(self, method=method)
        chosen = replace(self, method=method or "agglomerative")
        if threshold.measure is None and chosen.method == "dbscan":
            return replace(chosen, eps=threshold.value)
        measure = measure_of(chosen.method)
        if measure is None and threshold.value is not None and not threshold.is_setting:
            raise refuse(chosen.method)
        if threshold.measure is None:
            return replace(chosen, threshold=threshold.value)
        if measure is None:
            return chosen
        least, most = (0, 2) if measure == "max_cosine_distance" else (-1, 1)
        return chosen.with_own_threshold(threshold.in_measure(measure, least, most))


@dataclass(frozen=True, slots=True)
class RefineOptions(Checked):
    """Options of `refine`. None: default for the store; see `for_store`."""

    initial_threshold: Annotated[
        float, Option("Cosine distance for the first clustering.", least=0, most=2, advanced=True)
    ] = 0.55
    merge_threshold: Annotated[
        float | None,
        Option(
            "Maximum cosine distance between the centroids of clusters that are merged.",
            least=0,
            most=2,
            unset="0.40, or 0.30 with the open pack",
            advanced=True,
        ),
    ] = None
    outlier_threshold: Annotated[
        float,
        Option(
            "Maximum cosine distance of a face from its centroid; only in clusters of "
            f"{OUTLIER_MIN_CLUSTER} or more.",
            least=0,
            most=2,
        ),
    ] = 0.55
    outlier_min_cluster: int = OUTLIER_MIN_CLUSTER
    min_faces: Annotated[
        int | None,
        Option(
            "Minimum number of distinct photos in a face set; auto is one for every 100 photos, "
            f"{SMALLEST_MIN_FACES} to {LARGEST_MIN_FACES}.",
            least=1,
            unset="auto",
            parse=whole_number_or_auto,
            metavar="N|auto",
        ),
    ] = None
    min_short: MinShort = MIN_SHORT
    min_blur: MinBlur = MIN_BLUR
    min_det_score: MinDetScore = MIN_DET_SCORE
    min_norm: MinNorm = None
    min_age: MinAge = None
    max_age: MaxAge = None
    age_spreads: Annotated[
        float | None,
        Option(
            "Drop faces whose apparent age contradicts the set by more than this many spreads; "
            "`people review` uses 3.",
            least=0,
            advanced=True,
        ),
    ] = None
    same_image_ok: SameImageOk = False
    materialize: MaterializeHow = "copy"
    sheet: Sheet = True
    replace: Replace = False
    dry_run: DryRun = False

    def __post_init__(self) -> None:
        check_ranges(self)
        require_order(self.min_age, self.max_age)

    def for_store(self, photos: int, recognizer: str) -> "RefineOptions":
        """Return the options for a number of photos and a recognizer, by its file name.

        By default, a set needs one photo for every hundred: at least 3, so that an album
        gives something, and at most 15, which is easily reached in a large library.
        """
        # The package imports SciPy, which help texts do not need.
        from facesets.clustering.known_recognizers import known_recognizer

        by_photos = min(max(photos // 100, SMALLEST_MIN_FACES), LARGEST_MIN_FACES)
        by_recognizer = known_recognizer(recognizer).merge_max_cosine_distance
        return replace(
            self,
            min_faces=by_photos if self.min_faces is None else self.min_faces,
            merge_threshold=by_recognizer if self.merge_threshold is None else self.merge_threshold,
        )
