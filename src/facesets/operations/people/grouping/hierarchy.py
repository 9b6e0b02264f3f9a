"""`cluster --method hdbscan` on the library: a saved hierarchy, and new faces placed in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from facesets.clustering import HdbscanResult, approximate_predict, hdbscan, place_by_centroid
from facesets.clustering.centroids import centroids
from facesets.clustering.constraints import same_image_pairs
from facesets.clustering.known_recognizers import known_recognizer
from facesets.clustering.membership import leave_clashing, leave_clusters
from facesets.clustering.vectors import Float64
from facesets.formats.hierarchy import packed, unpacked
from facesets.operations.options.people import ClusterLibraryOptions
from facesets.operations.people.grouping.clusters import ClusterPlan, largest_in, matched_ids, named_by
from facesets.operations.people.grouping.enforcing import constraints_of
from facesets.operations.people.grouping.matching import Steps
from facesets.plurals import counted
from facesets.records import Bool, Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.people.assigned_faces import AssignedFaces, FaceScope
from facesets.store.postgres.people.clusters import NONE, ClusterBirth, FaceClusters
from facesets.store.postgres.people.corrections import Corrections
from facesets.store.postgres.people.hierarchies import (
    StoredRun,
    arrays_of,
    faces_met,
    run_in_force,
    store_densities,
    store_run,
)
from facesets.store.postgres.people.steps import Step

NEAR_CENTROID = 0.45
"""Maximum cosine distance from a centroid, for clusters without an epsilon."""
MAX_LEAVING = 0.25
"""Share of faces in a photo with a more central face of the cluster, from which it is several people."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A saved run of HDBSCAN.

    Attributes
    ----------
    face_id : int64 array of shape (n,)
        Its faces, in the order of the hierarchy.
    met : int64 array
        Its faces, and faces tried later without being placed; ascending.
    """

    run: StoredRun
    result: HdbscanResult
    face_id: Int64
    met: Int64


@dataclass(frozen=True, slots=True)
class Placed:
    """The places of a library's faces in a hierarchy.

    Attributes
    ----------
    cluster : int64 array of shape (n,)
        For each face of the library the index into `ids`; -1 for none.
    changed : int64 array
        The rows of faces whose cluster may have changed.
    fresh : HdbscanResult or None
        The hierarchy, if it is new; `of_run` are the rows of its faces.
    tried : int64 array
        Faces that were not placed, apart from those of a new hierarchy.
    predicted, nearest : int
        Number of faces placed by the hierarchy, and by the nearest centroid.
    """

    cluster: Int64
    changed: Int64
    ids: list[str]
    fresh: HdbscanResult | None
    of_run: Int64
    tried: Int64
    predicted: int
    nearest: int

    def sentence(self) -> str:
        """Return what was done, in words."""
        placed = f"{counted(self.predicted, 'face')} placed in the hierarchy"
        later = f"{placed}, {self.nearest} by the nearest centroid"
        if self.fresh is None:
            return f"Saved hierarchy: {later}, {len(self.tried)} not placed."
        clusters, noise = len(self.fresh.cluster), int((self.fresh.labels < 0).sum())
        of = f"New hierarchy of {counted(len(self.of_run), 'face')}"
        made = f"{of}: {counted(clusters, 'cluster')}, {noise} unclustered."
        left = self.predicted + self.nearest + len(self.tried)
        return f"{made} Other faces: {later}, {len(self.tried)} not placed." if left else made


def parameters_of(options: ClusterLibraryOptions) -> dict[str, Any]:
    """Return the parameters that a saved hierarchy must have been made with to be reused."""
    return {
        "min_cluster_size": options.min_cluster_size,
        "min_samples": options.min_samples,
        "min_quality": options.min_quality,
        "max_faces": options.max_faces,
        "time_bucket": options.time_bucket,
        "same_image_ok": options.same_image_ok,
    }


def load_hierarchy(
    connection: Connection, model_id: int, parameters: Mapping[str, Any] | None
) -> Hierarchy | None:
    """Load the current hierarchy if made with these parameters; None accepts any.

    Raises
    ------
    DamagedFile
        The stored data cannot be read.
    """
    run = run_in_force(connection, model_id)
    if run is None or (parameters is not None and dict(run.parameters) != dict(parameters)):
        return None
    result, face_id = unpacked(arrays_of(connection, run.id))
    return Hierarchy(run, result, face_id, faces_met(connection, run.id))


def place(
    faces: AssignedFaces,
    clusters: FaceClusters,
    scope: FaceScope,
    hierarchy: Hierarchy | None,
    corrections: Corrections,
    options: ClusterLibraryOptions,
    new_id: Callable[[], UUID],
    reported: Steps,
    *,
    recognizer: str | None,
) -> Placed:
    """Place the faces that are new to a hierarchy; make it first if there is none.

    The hierarchy's own prediction comes first, then the nearest centroid within the cluster's epsilon;
    neither places a face farther from the centroid than a person's faces usually are. A cluster contains only
    one of two faces in one photo, unless both are allowed.
    """
    eligible = scope.of(options.min_quality)
    if hierarchy is None:
        rows = best(scope.quality, np.flatnonzero(eligible), options.max_faces)
        result, labels = _made(faces, rows, corrections, options, reported)
        number = np.full(len(faces.face_id), NONE, np.int64)
        number[rows] = labels
        ids = matched_ids(number, clusters.number, clusters.ids, named_by(new_id))
        new = np.setdiff1d(np.flatnonzero(eligible), rows)
        home, of_run, fresh = np.arange(len(ids)), np.arange(len(rows)), result
    else:
        result, fresh, ids = hierarchy.result, None, clusters.ids
        rows, of_run = rows_of(hierarchy.face_id, faces.face_id)
        number = clusters.number.copy()
        home = largest_in(result.labels[of_run], number[rows], int(result.labels.max(initial=-1)) + 1)
        new = np.flatnonzero(eligible & (number < 0) & ~np.isin(faces.face_id, hierarchy.met))
    label, predicted = _placed(result, faces.embedding[rows], of_run, faces.embedding[new], recognizer)
    before = number.copy()
    number[new] = np.where(label >= 0, np.append(home, NONE)[label], NONE)
    if not options.same_image_ok:
        number[leave_clashing(faces.embedding, faces.image, before, number)] = NONE
    changed = new[number[new] >= 0] if fresh is None else np.flatnonzero(eligible)
    return Placed(
        cluster=number,
        changed=changed,
        ids=ids,
        fresh=fresh,
        of_run=rows,
        tried=faces.face_id[new[number[new] < 0]],
        predicted=int((predicted & (number[new] >= 0)).sum()),
        nearest=int((~predicted & (number[new] >= 0)).sum()),
    )


def _made(
    faces: AssignedFaces,
    rows: Int64,
    corrections: Corrections,
    options: ClusterLibraryOptions,
    reported: Steps,
) -> tuple[HdbscanResult, Int64]:
    """Make a hierarchy of some faces; return the cluster of each, too."""
    result = hdbscan(
        faces.embedding[rows],
        min_cluster_size=options.min_cluster_size,
        min_samples=options.min_samples,
        constraints=constraints_of(corrections, faces.face_id[rows]),
        on_progress=reported,
    )
    reported.end()
    if options.same_image_ok:
        return result, result.labels
    apart = same_image_pairs(faces.embedding[rows], faces.image[rows]).cannot_link
    return _one_a_photo(result, faces.embedding[rows], np.asarray(apart, np.int64))


def _one_a_photo(result: HdbscanResult, rows: Float32, apart: Int64) -> tuple[HdbscanResult, Int64]:
    """Return clusters in which no two faces share a photo: the less central one leaves.

    A cluster that would lose many faces shows two people, and is replaced by its parts. Splitting every such
    cluster would be harmful: one photo that shows a person twice, as in a mirror, would split this person.
    """
    leaving = leave_clusters(rows, result.labels, apart)
    size = np.maximum(np.bincount(result.labels[result.labels >= 0]), 1)
    many = np.bincount(result.labels[leaving], minlength=len(size)) >= MAX_LEAVING * size
    first = result.labels[apart]
    strict = apart[(first[:, 0] == first[:, 1]) & np.append(many, False)[first[:, 0]]]
    if len(strict):
        corrections = result.constraints.cannot_link
        arrays = result.to_arrays() | {"cannot_link": np.concatenate([corrections, strict])}
        result = HdbscanResult.from_arrays(arrays)
        leaving = leave_clusters(rows, result.labels, apart)
    labels = result.labels.copy()
    labels[leaving] = NONE
    return result, labels


def _placed(
    result: HdbscanResult, embedding: Float32, of_run: Int64, new: Float32, recognizer: str | None
) -> tuple[Int64, Bool]:
    """Return the label of each new face, -1 for none; and whether the hierarchy itself placed it.

    `embedding` are the vectors of the hierarchy's remaining faces, `of_run` their positions in it.
    """
    if not len(new) or not len(embedding):
        return np.full(len(new), NONE, np.int64), np.zeros(len(new), bool)
    # A cluster begins where it separates from the rest, so strangers are within its epsilon, too.
    most = known_recognizer(recognizer).max_from_centroid
    middle = centroids(embedding, result.labels[of_run])
    label = approximate_predict(result, embedding, new, faces=of_run).labels
    label[label >= len(middle)] = NONE
    some = np.flatnonzero(label >= 0)
    nearness = np.einsum("ij,ij->i", new[some], middle[label[some]])
    label[some[nearness < 1.0 - most]] = NONE
    predicted: Bool = label >= 0
    left = np.flatnonzero(~predicted)
    epsilon = epsilon_of(result)[: len(middle)]
    label[left] = place_by_centroid(
        new[left], middle, epsilon, default_cosine_distance=NEAR_CENTROID, max_cosine_distance=most
    )
    return label, predicted


def epsilon_of(result: HdbscanResult) -> Float64:
    """Return the epsilon of each cluster; NaN for clusters made only by corrections."""
    epsilon = np.full(int(result.labels.max(initial=-1)) + 1, np.nan)
    epsilon[: len(result.epsilon)] = result.epsilon[: len(epsilon)]
    return epsilon


def best(quality: Float32, rows: Int64, max_faces: int) -> Int64:
    """Return the best faces of these rows, in order, at most `max_faces`."""
    if len(rows) <= max_faces:
        return rows
    return np.sort(rows[np.lexsort((rows, -quality[rows]))[:max_faces]])


def rows_of(wanted: Int64, face_id: Int64) -> tuple[Int64, Int64]:
    """Return the rows of those wanted faces that exist, and their positions among the wanted."""
    row = np.minimum(np.searchsorted(face_id, wanted), max(len(face_id) - 1, 0))
    there = np.flatnonzero(face_id[row] == wanted) if len(face_id) else np.empty(0, np.int64)
    return row[there], there


def keep(
    step: Step,
    model_id: int,
    faces: AssignedFaces,
    placed: Placed,
    hierarchy: Hierarchy | None,
    options: ClusterLibraryOptions,
    run_id: int | None,
) -> ClusterPlan:
    """Store a new hierarchy, or new attempts in the current one; return the clusters of the faces."""
    connection, births = step.connection, {}
    if placed.fresh is None:
        number = 0 if hierarchy is None else hierarchy.run.id
    else:
        result = placed.fresh
        noise = int((result.labels < 0).sum())
        counts = len(result.labels), len(placed.ids), noise
        face_id = faces.face_id[placed.of_run]
        number = store_run(
            connection, model_id, run_id, parameters_of(options), counts, packed(result, face_id)
        )
        store_densities(
            connection,
            number,
            face_id,
            result.density.astype(np.float32),
            result.outlier_score.astype(np.float32),
        )
        births = {
            each: ClusterBirth(number, float(born), float(lived), float(stable))
            for each, born, lived, stable in zip(
                placed.ids, result.birth_density, result.persistence, result.stability, strict=False
            )
        }
    missed = np.zeros(len(placed.tried), np.float32)
    store_densities(connection, number, placed.tried, missed, missed + 1)
    return ClusterPlan(faces.face_id[placed.changed], placed.cluster[placed.changed], placed.ids, births)
