"""The documented defaults of every command, once. Flags and manifests take names and values from here."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from facesets.errors import WrongUsage
from facesets.exports.materialize import Materialize

Method = Literal["agglomerative", "components", "hdbscan", "auto"]
Select = Literal["best", "diverse"]


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
    dry_run : bool
        List and compare only.
    """

    flush_every: int = 50
    workers: int = 1
    batch_size: int = 1
    retry_failed: bool = False
    fast_decode: bool = False
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
        _within("det-size", self.det_size, 32, 8192)
        _within("min-det-score", self.min_det_score, 0, 1)


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Options of `cluster`.

    Attributes
    ----------
    threshold : float or None
        Cosine distance at which average linkage is cut; None measures a fitting one on the faces.
    min_cosine_similarity : float
        Of `components`: two faces this similar are connected.
    min_cluster_size, min_samples : int
        Of `hdbscan`.
    same_image_ok : bool
        Two faces in one image may be one person. Otherwise every method keeps them apart, unless they
        look like one face seen twice.
    """

    method: Method = "agglomerative"
    threshold: float | None = 0.55
    min_cosine_similarity: float = 0.65
    min_cluster_size: int = 5
    min_samples: int = 3
    same_image_ok: bool = False
    materialize: Materialize = "copy"
    sheet: bool = True
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.threshold is not None:
            _within("threshold", self.threshold, 0, 2)
        _within("min-cosine-similarity", self.min_cosine_similarity, -1, 1)
        _within("min-cluster-size", self.min_cluster_size, 2)
        _within("min-samples", self.min_samples, 1)


@dataclass(frozen=True, slots=True)
class RefineOptions:
    """Options of `refine`.

    Attributes
    ----------
    initial_threshold : float
        Cosine distance of the first clustering.
    merge_threshold : float
        Clusters whose centroids are this close in cosine distance are one.
    outlier_threshold : float
        A face farther than this from its centroid is dropped, in clusters of `outlier_min_cluster` or more.
    min_faces : int
        Fewest distinct images in a face set.
    min_short : float
        Fewest pixels of the short edge of the box.
    min_blur : float
        Least Laplacian variance.
    min_det_score : float
        Least detector score.
    same_image_ok : bool
        Two faces in one image may be one person. Otherwise they are kept apart.
    """

    initial_threshold: float = 0.55
    merge_threshold: float = 0.40
    outlier_threshold: float = 0.55
    outlier_min_cluster: int = 4
    min_faces: int = 15
    min_short: float = 90
    min_blur: float = 40.0
    min_det_score: float = 0.6
    same_image_ok: bool = False
    materialize: Materialize = "copy"
    sheet: bool = True
    dry_run: bool = False

    def __post_init__(self) -> None:
        _within("initial-threshold", self.initial_threshold, 0, 2)
        _within("merge-threshold", self.merge_threshold, 0, 2)
        _within("outlier-threshold", self.outlier_threshold, 0, 2)
        _within("min-faces", self.min_faces, 1)
        _within("min-short", self.min_short, 0)
        _within("min-blur", self.min_blur, 0)
        _within("min-det-score", self.min_det_score, 0, 1)


@dataclass(frozen=True, slots=True)
class ExtendOptions:
    """Options of `extend`. All else is as it was when the results were made.

    Attributes
    ----------
    threshold : float
        Most cosine distance of a new face from the centroid of the person that it joins.
    cluster_threshold : float
        Cosine distance at which average linkage of the other new faces is cut.
    same_image_ok : bool
        Two faces in one image may be one person. Otherwise they are kept apart.
    """

    threshold: float = 0.55
    cluster_threshold: float = 0.55
    same_image_ok: bool = False
    sheet: bool = True
    dry_run: bool = False

    def __post_init__(self) -> None:
        _within("threshold", self.threshold, 0, 2)
        _within("cluster-threshold", self.cluster_threshold, 0, 2)


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
        _within("max-bits", self.max_bits, 0, 256)


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
        _within("min-overlap", self.min_overlap, 0, 1)
        _within("flush-every", self.flush_every, 1)


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
    dry_run: bool = False

    def __post_init__(self) -> None:
        _within("top-n", self.top_n, 1)
        _within("outlier-threshold", self.outlier_threshold, 0, 2)
        _within("pad-ratio", self.pad_ratio, 0, 5)
        _within("out-size", self.out_size, 64, 4096)
        _within("min-face-short", self.min_face_short, 0)
        _within("duplicate-max-bits", self.duplicate_max_bits, 0, 256)
        _within("candidate-match-threshold", self.candidate_match_threshold, 0, 2)
        _within("candidate-min-score", self.candidate_min_score, 0, 1)


@dataclass(frozen=True, slots=True)
class DiscoverOptions:
    """Options of `discover`.

    Attributes
    ----------
    known_threshold : float
        A face this close in cosine distance to the centroid of a known face set is known. All else is as
        `refine` and `export-swap` have it.
    """

    known_threshold: float = 0.45

    def __post_init__(self) -> None:
        _within("known-threshold", self.known_threshold, 0, 2)


@dataclass(frozen=True, slots=True)
class IndexOptions:
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
    max_images : int or None
        Most files to look into in this run.
    max_minutes : float or None
        Begin no further file after so long.
    prune : bool
        Forget paths that are gone.
    retry_failed : bool
        Try files again that could not be read before, though they have not changed.
    dry_run : bool
        List and compare only.
    """

    concurrency: int = 4
    batch_size: int = 1
    flush_every: int = 50
    flush_every_s: float = 5.0
    max_images: int | None = None
    max_minutes: float | None = None
    prune: bool = False
    retry_failed: bool = False
    dry_run: bool = False


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
            _within("threshold", self.threshold, 0, 1)
        elif self.method not in ("agglomerative", "auto"):
            raise WrongUsage(f"No threshold is measured for {self.method}. Give --threshold a number.")
        _within("min-size", self.min_size, 1)
        _within("min-cluster-size", self.min_cluster_size, 2)
        _within("min-samples", self.min_samples, 1)


@dataclass(frozen=True, slots=True)
class StageOptions:
    """What `immich-stage` takes from a server.

    Attributes
    ----------
    workers : int
        Assets that are worked on at a time.
    min_face_short : float
        Least short edge of a photo's largest face, in pixels of the original.
    thumbnails : bool
        Keep pictures that Immich made itself and then indexed as originals.
    trashed, hidden, locked, archived, edited : bool
        Keep assets that are so in Immich.
    recheck : bool
        Ask again about assets in which the server had found no face.
    dry_run : bool
        Ask and count; fetch and write nothing.
    """

    workers: int = 8
    min_face_short: float = 90.0
    thumbnails: bool = False
    trashed: bool = False
    hidden: bool = False
    locked: bool = False
    archived: bool = True
    edited: bool = True
    recheck: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        _within("workers", self.workers, 1, 64)
        _within("min-face-short", self.min_face_short, 0)


@dataclass(frozen=True, slots=True)
class PushOptions:
    """What `immich-push` may change on a server.

    Attributes
    ----------
    workers : int
        Photos that are worked on at a time.
    min_faces : int
        Fewest faces of ours that make a nameless person of the server's ours as a whole.
    min_purity : float
        Of that person's faces that are somebody's here, at least so many, as a share, have to be ours.
    min_share : float
        Of that person's photos we have to know at least this share to merge it into another.
    rename : bool
        Where the server has another name, ours counts.
    hidden : bool
        Touch people whom the server hides.
    new_faces : bool
        Add faces that the server has not found.
    dry_run : bool
        Plan only.
    """

    workers: int = 8
    min_faces: int = 3
    min_purity: float = 0.8
    min_share: float = 0.5
    rename: bool = False
    hidden: bool = False
    new_faces: bool = True
    dry_run: bool = False

    def __post_init__(self) -> None:
        _within("workers", self.workers, 1, 64)
        _within("min-faces", self.min_faces, 1)
        # With half or less, one person of the server's could be two of ours.
        _within("min-purity", self.min_purity, 0.51, 1)
        _within("min-share", self.min_share, 0, 1)


@dataclass(frozen=True, slots=True)
class ImportFoldersOptions:
    """How `import-folders` finds the person of a folder that somebody sorted.

    Attributes
    ----------
    first_threshold, second_threshold : float
        Most cosine distance from the folder's centroid in the first and in the second pass.
    route_threshold : float
        Most cosine distance at which a face of a mixed folder is that person.
    """

    first_threshold: float = 0.55
    second_threshold: float = 0.45
    route_threshold: float = 0.45

    def __post_init__(self) -> None:
        _within("first-threshold", self.first_threshold, 0, 2)
        _within("second-threshold", self.second_threshold, 0, 2)
        _within("route-threshold", self.route_threshold, 0, 2)


@dataclass(frozen=True, slots=True)
class SplitErasOptions:
    """How `split-eras` finds a person's faces again, and cuts them into eras.

    Attributes
    ----------
    recover_threshold : float
        Most cosine distance from the curated set's centroid.
    recentre_threshold : float
        Most cosine distance from the centroid of what was recovered.
    split_threshold : float
        Cosine distance at which average linkage is cut into sub-clusters.
    join_threshold : float
        Most cosine distance between the centroids of a fragment and its anchor.
    join_years : int
        Most years between their dominant capture years.
    min_era_faces : int
        Fewest faces of an anchor, and of an era that is not thin.
    min_fragment_faces : int
        Fewest faces of a fragment that is an era of its own, thin as it is; smaller ones are left out.
    min_short, min_blur, min_det_score : float
        The quality gate, as in `refine`.
    """

    recover_threshold: float = 0.55
    recentre_threshold: float = 0.50
    split_threshold: float = 0.35
    join_threshold: float = 0.40
    join_years: int = 5
    min_era_faces: int = 20
    min_fragment_faces: int = 2
    min_short: float = 90
    min_blur: float = 40.0
    min_det_score: float = 0.6

    def __post_init__(self) -> None:
        _within("recover-threshold", self.recover_threshold, 0, 2)
        _within("recentre-threshold", self.recentre_threshold, 0, 2)
        _within("split-threshold", self.split_threshold, 0, 2)
        _within("join-threshold", self.join_threshold, 0, 2)
        _within("join-years", self.join_years, 0)
        _within("min-era-faces", self.min_era_faces, 2)
        _within("min-fragment-faces", self.min_fragment_faces, 1)
        _within("min-short", self.min_short, 0)
        _within("min-blur", self.min_blur, 0)
        _within("min-det-score", self.min_det_score, 0, 1)


Recorded = (
    ClusterOptions
    | RefineOptions
    | ExtendOptions
    | DiscoverOptions
    | DedupOptions
    | ExportSwapOptions
    | ImportFoldersOptions
    | SplitErasOptions
)
"""Options of commands that write manifests."""


def recorded(options: Recorded) -> dict[str, Any]:
    """Options as a manifest records them: those that decide about the result."""
    return {k: v for k, v in asdict(options).items() if k not in {"dry_run", "sheet", "merge"}}


def _within(name: str, value: float, least: float, most: float = float("inf")) -> None:
    if not least <= value <= most:
        limits = f"between {least} and {most}" if most != float("inf") else f"{least} or more"
        raise WrongUsage(f"--{name} must be {limits}, not {value}.")
