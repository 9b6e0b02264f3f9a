"""Documented defaults of the commands from pixels to exports; flags and manifests take them from here."""

from dataclasses import dataclass, replace
from typing import Literal

from facesets.operations.options.limits import within
from facesets.operations.options.threshold import Method, Threshold, measure_of, refuse
from facesets.results.materialize import Materialize

Select = Literal["best", "diverse"]

LEAST_MIN_FACES, MOST_MIN_FACES = 3, 15
"""Fewest distinct images in a face set where their number goes by that of all photos."""


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """How `embed` works through a source.

    Attributes
    ----------
    flush_every : int
        New files after which the cache is flushed: at most so many are lost by a crash.
    workers : int
        Threads, each of which takes a batch from file to faces.
    batch_size : int
        Files that one worker takes at a time.
    retry_failed : bool
        Try files again that could not be read before, though they have not changed.
    fast_decode : bool
        Decode large JPEGs at a half, a quarter or an eighth: faster, with slightly other vectors and
        with the sharpness of the reduced picture.
    prune : bool
        Forget also what is known of other folders and is not there any more.
    dry_run : bool
        List and compare only.
    """

    flush_every: int = 50
    workers: int = 1
    batch_size: int = 1
    retry_failed: bool = False
    fast_decode: bool = False
    prune: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DetectionOptions:
    """What counts as a face.

    Attributes
    ----------
    pack : str
        Model pack, by name or path.
    det_size : int
        Edge of the detector's square input in pixels.
    min_det_score : float
        Least detector score, in [0, 1].
    """

    pack: str = "buffalo_l"
    det_size: int = 640
    min_det_score: float = 0.5

    def __post_init__(self) -> None:
        within("det-size", self.det_size, 32, 8192)
        within("min-det-score", self.min_det_score, 0, 1)


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Options of `cluster`.

    Attributes
    ----------
    method : str
        `auto` measures what similarities mean on the faces, and needs no threshold.
    threshold : float or None
        Of `agglomerative`: cosine distance at which average linkage is cut; None measures a fitting one.
    min_cosine_similarity : float
        Of `components`: two faces this similar are connected.
    min_cluster_size, min_samples : int
        Of `hdbscan`.
    same_image_ok : bool
        Two faces in one image may be one person. Otherwise every method keeps them apart, unless they
        look like one face seen twice.
    replace : bool
        The folder may hold the result of another cache or library; from then on it is that of this one.
    """

    method: Method = "auto"
    threshold: float | None = 0.55
    min_cosine_similarity: float = 0.65
    min_cluster_size: int = 5
    min_samples: int = 3
    same_image_ok: bool = False
    materialize: Materialize = "copy"
    sheet: bool = True
    replace: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.threshold is not None:
            within("threshold", self.threshold, 0, 2)
        within("min-cosine-similarity", self.min_cosine_similarity, -1, 1)
        within("min-cluster-size", self.min_cluster_size, 2)
        within("min-samples", self.min_samples, 1)

    def own_threshold(self) -> float | None:
        """The threshold that the method goes by, in its own measure; None if it has or is given none."""
        measure = measure_of(self.method)
        if measure is None:
            return None
        return self.threshold if measure == "max_cosine_distance" else self.min_cosine_similarity

    def with_own_threshold(self, value: float) -> "ClusterOptions":
        """The same with another threshold, in the measure of the method.

        Raises
        ------
        WrongUsage
            The method has none, or not such a one.
        """
        measure = measure_of(self.method)
        if measure is None:
            raise refuse(self.method)
        if measure == "max_cosine_distance":
            return replace(self, threshold=value)
        return replace(self, min_cosine_similarity=value)

    def told(self, method: Method | None, said: Threshold | None) -> "ClusterOptions":
        """The same with a method and a threshold; plain thresholds are cosine distances.

        A threshold alone means average linkage, as it did before there was another method.

        Raises
        ------
        WrongUsage
            The method has no such threshold.
        """
        if said is None:
            return self if method is None else replace(self, method=method)
        chosen = replace(self, method=method or "agglomerative")
        if said.measure is None:
            return replace(chosen, threshold=said.value)
        measure = measure_of(chosen.method)
        if measure is None:
            if said.is_setting:
                return chosen
            raise refuse(chosen.method)
        least, most = (0, 2) if measure == "max_cosine_distance" else (-1, 1)
        return chosen.with_own_threshold(said.in_measure(measure, least, most))


@dataclass(frozen=True, slots=True)
class RefineOptions:
    """Options of `refine`.

    Attributes
    ----------
    initial_threshold : float
        Cosine distance of the first clustering.
    merge_threshold : float or None
        Clusters whose centroids are this close in cosine distance are one; None goes by the recogniser.
    outlier_threshold : float
        A face farther than this from its centroid is dropped, in clusters of `outlier_min_cluster` or more.
    min_faces : int or None
        Fewest distinct images in a face set; None goes by the number of photos, as `for_store` says.
    min_short : float
        Fewest pixels of the short edge of the box.
    min_blur : float
        Least Laplacian variance.
    min_det_score : float
        Least detector score.
    same_image_ok : bool
        Two faces in one image may be one person. Otherwise they are kept apart.
    replace : bool
        As `ClusterOptions`.
    """

    initial_threshold: float = 0.55
    merge_threshold: float | None = None
    outlier_threshold: float = 0.55
    outlier_min_cluster: int = 4
    min_faces: int | None = None
    min_short: float = 90
    min_blur: float = 40.0
    min_det_score: float = 0.6
    same_image_ok: bool = False
    materialize: Materialize = "copy"
    sheet: bool = True
    replace: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        within("initial-threshold", self.initial_threshold, 0, 2)
        if self.merge_threshold is not None:
            within("merge-threshold", self.merge_threshold, 0, 2)
        within("outlier-threshold", self.outlier_threshold, 0, 2)
        if self.min_faces is not None:
            within("min-faces", self.min_faces, 1)
        within("min-short", self.min_short, 0)
        within("min-blur", self.min_blur, 0)
        within("min-det-score", self.min_det_score, 0, 1)

    def for_store(self, photos: int, recogniser: str) -> "RefineOptions":
        """The same for so many photos whose vectors are of the network in a file of that name.

        Where nothing else is said, a set needs one photo for every hundred: at least 3, so that an album
        gives something, and at most 15, which a large library has plenty of.
        """
        # The package brings SciPy, which no help text needs.
        from facesets.clustering.recognisers import recogniser_named

        by_photos = min(max(photos // 100, LEAST_MIN_FACES), MOST_MIN_FACES)
        by_recogniser = recogniser_named(recogniser).merge_max_cosine_distance
        return replace(
            self,
            min_faces=by_photos if self.min_faces is None else self.min_faces,
            merge_threshold=by_recogniser if self.merge_threshold is None else self.merge_threshold,
        )


@dataclass(frozen=True, slots=True)
class DedupOptions:
    """Options of `dedup`.

    Attributes
    ----------
    max_bits : int
        Most bits, of 256, in which the fingerprints of two near-duplicates differ. Measured on portraits
        (`docs/manifests.md`): unrelated pictures begin at 70, copies scaled or recompressed end at 18.
    """

    max_bits: int = 48
    dry_run: bool = False

    def __post_init__(self) -> None:
        within("max-bits", self.max_bits, 0, 256)


@dataclass(frozen=True, slots=True)
class EnrichOptions:
    """Options of `enrich`.

    Attributes
    ----------
    min_overlap : float
        Least intersection over union of a cached box with the one found again.
    flush_every : int
        Images between two writes to the cache.
    again : bool
        Look again at faces that were not found the last time.
    """

    min_overlap: float = 0.5
    flush_every: int = 50
    again: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        within("min-overlap", self.min_overlap, 0, 1)
        within("flush-every", self.flush_every, 1)


LOADER_DET_SIZE = 640
LOADER_MIN_DET_SCORE = 0.5
"""How roop-unleashed's loader detects faces in the pictures of a bundle."""

VERIFY_MIN_DET_SCORE = 0.35
"""From which score a bystander in a crop counts. Lower than the loader's, because its detector differs
from ours: faces that ours scores just below 0.5 were found by another SCRFD in 4 % of the crops."""


@dataclass(frozen=True, slots=True)
class ExportSwapOptions:
    """Options of `export-swap`.

    Attributes
    ----------
    top_n : int
        Size of the smaller bundle.
    outlier_threshold : float
        Cosine distance from the set's centroid. Tighter than refine: averaging wants a clean core.
    pad_ratio : float
        Padding around the box, in longer edges of it.
    out_size : int
        Pixels of a PNG's edge.
    min_face_short : float
        Fewest pixels of the short edge of the box.
    duplicate_max_bits : int
        Most bits, of 256, in which the aligned faces of two visual duplicates differ.
    duplicate_max_distance : float
        Most cosine distance between the embeddings of two visual duplicates.
    verify_max_distance : float
        Most cosine distance between the cached embedding and that of the face found again in the PNG.
    candidates : bool
        Match faces that `cluster` left single to the nearest set, for a person to review.
    candidate_match_threshold : float
        Cosine distance for that.
    candidate_min_score : float
        Least quality for that.
    replace : bool
        As `ClusterOptions`.
    """

    top_n: int = 30
    outlier_threshold: float = 0.45
    pad_ratio: float = 0.5
    out_size: int = 512
    min_face_short: float = 100
    duplicate_max_bits: int = 48
    duplicate_max_distance: float = 0.15
    verify_max_distance: float = 0.40
    select: Select = "best"
    candidates: bool = False
    candidate_match_threshold: float = 0.55
    candidate_min_score: float = 0.40
    merge: bool = False
    sheet: bool = True
    replace: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        within("top-n", self.top_n, 1)
        within("outlier-threshold", self.outlier_threshold, 0, 2)
        within("pad-ratio", self.pad_ratio, 0, 5)
        within("out-size", self.out_size, 64, 4096)
        within("min-face-short", self.min_face_short, 0)
        within("duplicate-max-bits", self.duplicate_max_bits, 0, 256)
        within("candidate-match-threshold", self.candidate_match_threshold, 0, 2)
        within("candidate-min-score", self.candidate_min_score, 0, 1)
