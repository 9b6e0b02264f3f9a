"""What the commands on the library can be told."""

from dataclasses import dataclass, replace

from facesets.errors import WrongUsage
from facesets.operations.options.limits import within
from facesets.operations.options.threshold import (
    Method,
    Threshold,
    measure_of,
    measures_itself,
    other_measure,
)


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
    fast_decode : bool
        Decode large JPEGs at a half, a quarter or an eighth: faster, with slightly other vectors and
        with the sharpness of the reduced picture.
    enrich : bool
        Add landmarks and pose to new faces in the same pass, as the command `enrich` does later.
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
    fast_decode: bool = False
    enrich: bool = False
    prune: bool = False
    retry_failed: bool = False
    dry_run: bool = False

    @property
    def workers(self) -> int:
        """What `embed` calls the same."""
        return self.concurrency


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
        elif not measures_itself(self.method):
            raise WrongUsage(f"No threshold is measured for {self.method}. Give --threshold a number.")
        within("min-size", self.min_size, 1)
        within("min-cluster-size", self.min_cluster_size, 2)
        within("min-samples", self.min_samples, 1)

    def own_threshold(self) -> float | None:
        """The threshold that the method goes by, in its own measure; None if it has or is given none."""
        measure = measure_of(self.method)
        if measure is None or self.threshold is None:
            return None
        return self.threshold if measure == "min_cosine_similarity" else other_measure(self.threshold)

    def told(self, method: Method | None, said: Threshold | None) -> "ClusterLibraryOptions":
        """The same with a method and a threshold; plain thresholds are cosine similarities.

        A threshold alone means connected components, as it did before there was another method.

        Raises
        ------
        WrongUsage
            There is no such threshold.
        """
        chosen = method or (self.method if said is None else "components")
        if said is None:
            return replace(self, method=chosen, threshold=None if chosen == "auto" else self.threshold)
        similarity = None if said.value is None else said.in_measure("min_cosine_similarity", 0, 1)
        return replace(self, method=chosen, threshold=similarity)
