"""What each command can be told, with the documented defaults, once."""

from dataclasses import dataclass
from typing import Literal

from facesets.errors import WrongUsage

LibraryMethod = Literal["components", "agglomerative", "hdbscan"]


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
    dry_run : bool
        List and compare only.
    """

    flush_every: int = 50
    workers: int = 1
    batch_size: int = 1
    retry_failed: bool = False
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
        `components`, `agglomerative` or `hdbscan`.
    threshold : float
        Cosine similarity from which two faces belong together (components), or at which average linkage
        is cut; and from which a new face joins a known person. In [0, 1]; higher is stricter.
    min_size : int
        Fewest faces of a new person.
    min_cluster_size, min_samples : int
        Of `hdbscan`.
    dry_run : bool
        Say what would be done.
    """

    method: LibraryMethod = "components"
    threshold: float = 0.65
    min_size: int = 2
    min_cluster_size: int = 5
    min_samples: int = 3
    dry_run: bool = False

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("threshold", self.threshold, 0.0, 1.0),
            ("min-size", self.min_size, 1, None),
            ("min-cluster-size", self.min_cluster_size, 2, None),
            ("min-samples", self.min_samples, 1, None),
        ):
            if value < least or (most is not None and value > most):
                limits = f"between {least:g} and {most:g}" if most is not None else f"{least:g} or more"
                raise WrongUsage(f"--{name} must be {limits}, not {value:g}.")
