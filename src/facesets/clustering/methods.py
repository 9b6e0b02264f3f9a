"""The table of clustering methods: what each does, needs, and measures by itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from facesets.clustering.approximate_pairs import check_links
from facesets.clustering.auto import cluster_auto
from facesets.clustering.average_linkage import average_linkage
from facesets.clustering.calibration import Calibration, calibrate
from facesets.clustering.components import connected_components, is_approximate
from facesets.clustering.constraints import Constraints, same_image_pairs
from facesets.clustering.dbscan import dbscan
from facesets.clustering.engine import IN_PROCESS, Engine
from facesets.clustering.graph import OnProgress
from facesets.clustering.hdbscan import hdbscan
from facesets.clustering.known_recognizers import known_recognizer
from facesets.clustering.placement import Placement
from facesets.clustering.poor_faces import Clarities
from facesets.clustering.vectors import Embeddings, Int64

Measure = Literal["max_cosine_distance", "min_cosine_similarity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupingTask:
    """Faces to group, known facts about them, and the options of all methods; each reads its own.

    Attributes
    ----------
    embeddings : float array of shape (n, d)
    image : int64 array of shape (n,), optional
        Faces with the same number are in one image, and two people. None where that is not known.
    apart : Constraints, optional
        These pairs, if they were already found, or further ones.
    apart_in_images : bool
        `apart` holds none but those.
    clarity : uint8 array of shape (n,), optional
        How much each face shows (`Clarity`). `auto` makes no person of faces that show too little.
    recognizer : str, optional
        The file name of the network that made the embeddings.
    calibration : Calibration, optional
        Measured on these faces where absent and needed.
    threshold : float, optional
        In the measure of the method. None measures a fitting one, where the method can.
    min_cluster_size, min_samples : int
        Of `hdbscan`; the latter of `dbscan`, too, which counts the face itself.
    engine : Engine
        What compares the pairs, if the method works on a graph of similar ones (`scales`).
    """

    embeddings: Embeddings
    image: Int64 | None = None
    apart: Constraints | None = None
    apart_in_images: bool = False
    clarity: Clarities | None = None
    recognizer: str | None = None
    calibration: Calibration | None = None
    threshold: float | None = None
    min_cluster_size: int
    min_samples: int
    on_progress: OnProgress | None = None
    engine: Engine = IN_PROCESS

    def constraints(self) -> Constraints | None:
        """Return pairs of faces to keep apart."""
        if self.apart is not None or self.image is None:
            return self.apart
        return same_image_pairs(self.embeddings, self.image)

    def measured(self) -> Calibration:
        """Return the calibration of these faces."""
        return self.calibration or calibrate(
            self.embeddings, image_index=self.image, recognizer=self.recognizer
        )


@dataclass(frozen=True, slots=True)
class Grouping:
    """Faces in clusters.

    Attributes
    ----------
    labels : int64 array of shape (n,)
        Negative for noise.
    used : mapping
        The values that decided, by name; measured ones where the method chose them.
    reasons : tuple of str
        A sentence for each choice that the method made by itself.
    placement : tuple of str
        How each face joined its cluster, in a word; empty if the method does not report it.
    checked : mapping
        How much an approximate search found, by name.
    """

    labels: Int64
    used: Mapping[str, Any]
    reasons: tuple[str, ...] = ()
    placement: tuple[str, ...] = ()
    checked: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusteringMethod:
    """One way to group faces.

    Attributes
    ----------
    threshold : str or None
        What its threshold is; None if it has none.
    measures : bool
        Whether it finds its thresholds by itself where none is given.
    scales : bool
        Whether an engine of several workers can compute it.
    """

    group: Callable[[GroupingTask], Grouping]
    threshold: Measure | None = None
    measures: bool = False
    scales: bool = True


def _agglomerative(task: GroupingTask) -> Grouping:
    threshold = task.threshold
    reasons: tuple[str, ...] = ()
    if threshold is None:
        measured = task.measured()
        threshold = measured.max_cosine_distance
        cut = f"Cut at a cosine distance of {threshold:.2f} (cosine similarity {measured.link:.2f})"
        reasons = (f"{cut}, {measured.source}.",)
    labels = average_linkage(
        task.embeddings,
        max_cosine_distance=threshold,
        constraints=task.constraints(),
        # Corrections about faces are certain, pairs of one image are not.
        lenient=task.apart is None or task.apart_in_images,
        on_progress=task.on_progress,
        engine=task.engine,
    )
    return Grouping(labels, {"threshold": threshold}, reasons)


def _components(task: GroupingTask) -> Grouping:
    if task.threshold is None:
        raise ValueError("components measures no threshold")
    labels = connected_components(
        task.embeddings,
        min_cosine_similarity=task.threshold,
        constraints=task.constraints(),
        on_progress=task.on_progress,
        engine=task.engine,
    )
    used = {"min_cosine_similarity": task.threshold}
    if not is_approximate(len(labels)):
        return Grouping(labels, used)
    found = check_links(task.embeddings, labels, min_cosine_similarity=task.threshold)
    checked = {"links_together": found.share_together, "faces_whole": found.share_whole}
    return Grouping(labels, used, (found.sentence(task.threshold),), checked=checked)


def _hdbscan(task: GroupingTask) -> Grouping:
    size, samples = task.min_cluster_size, task.min_samples
    result = hdbscan(
        task.embeddings,
        min_cluster_size=size,
        min_samples=samples,
        constraints=task.constraints(),
        on_progress=task.on_progress,
    )
    return Grouping(result.labels, {"min_cluster_size": size, "min_samples": samples})


def _dbscan(task: GroupingTask) -> Grouping:
    usual = known_recognizer(task.recognizer).neighbour_cosine_distance
    eps = usual if task.threshold is None else task.threshold
    labels = dbscan(
        task.embeddings,
        eps=eps,
        min_samples=task.min_samples,
        constraints=task.constraints(),
        on_progress=task.on_progress,
        engine=task.engine,
    )
    return Grouping(labels, {"eps": eps, "min_samples": task.min_samples})


def _auto(task: GroupingTask) -> Grouping:
    result = cluster_auto(
        task.embeddings,
        # `cluster_auto` finds pairs of one image itself, after removing what all vectors have in common.
        image_index=task.image if task.apart is None else None,
        constraints=task.apart,
        clarity=task.clarity,
        calibration=task.measured(),
        on_progress=task.on_progress,
        engine=task.engine,
    )
    used = {
        "core_cosine_similarity": result.calibration.core,
        "link_cosine_similarity": round(result.calibration.link, 5),
    }
    placement = tuple(Placement(value).name.lower() for value in result.placement.tolist())
    return Grouping(result.labels, used, result.reasons, placement)


METHODS: Mapping[str, ClusteringMethod] = {
    "auto": ClusteringMethod(_auto, measures=True),
    "agglomerative": ClusteringMethod(_agglomerative, "max_cosine_distance", measures=True),
    "components": ClusteringMethod(_components, "min_cosine_similarity"),
    "hdbscan": ClusteringMethod(_hdbscan, scales=False),
    "dbscan": ClusteringMethod(_dbscan, "max_cosine_distance", measures=True),
}
"""Methods by the names that `--method` takes."""
