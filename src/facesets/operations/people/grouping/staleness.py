"""Check whether the saved hierarchy is out of date."""

from dataclasses import dataclass, field, replace

import numpy as np

from facesets.clustering.centroids import centroids
from facesets.operations.people.grouping.clusters import largest_in
from facesets.operations.people.grouping.hierarchy import Hierarchy, load_hierarchy, rows_of
from facesets.plurals import counted
from facesets.records import Float32, Int64
from facesets.store.postgres.connection import Connection
from facesets.store.postgres.library import Library
from facesets.store.postgres.models import DetectorRow
from facesets.store.postgres.people.assigned_faces import face_scope, load_assigned_faces
from facesets.store.postgres.people.clusters import clusters_of, fresh_centers
from facesets.store.postgres.people.hierarchies import faces_found_since, latest_parameters

MAX_ADDED = 0.25
"""Added faces, as a share of those in the hierarchy, from which a new one is due."""
MAX_UNASSIGNED = 0.5
"""Share of added faces without a cluster from which a new one is due, if at least `MIN_UNASSIGNED`."""
MIN_UNASSIGNED = 50
MAX_DRIFT = 0.1
"""Cosine distance moved by a tenth of the centroids from which a new one is due."""


@dataclass(frozen=True, slots=True)
class Staleness:
    """The changes since the saved hierarchy was made.

    Attributes
    ----------
    exists : bool
        Whether there is one.
    made : str
        Its date.
    faces : int
        Number of faces in it.
    added : int
        Faces added since then that it would have included.
    unassigned : int
        Added faces without a cluster.
    share_added, share_unassigned : float
        Added faces as a share of its faces; unassigned ones as a share of the added.
    drift : float
        Cosine distance between old and current centroids, exceeded by only a tenth of the clusters.
    changed : list of str
        Parameters that a later run changed, and the model.
    due : bool
        Whether to make a new one.
    reasons : list of str
        The reasons, in words.
    """

    exists: bool = False
    made: str = ""
    faces: int = 0
    added: int = 0
    unassigned: int = 0
    share_added: float = 0.0
    share_unassigned: float = 0.0
    drift: float = 0.0
    changed: list[str] = field(default_factory=list)
    due: bool = False
    reasons: list[str] = field(default_factory=list)


def staleness(library: Library) -> Staleness:
    """Compare the saved hierarchy with the library as it is.

    Raises
    ------
    DamagedFile
        The stored data cannot be read.
    """
    return library.database.run(_measure, library)


def _measure(connection: Connection, library: Library) -> Staleness:
    detector = library.detector(connection)
    hierarchy = None if detector is None else load_hierarchy(connection, detector.model_id, None)
    if detector is None or hierarchy is None:
        return _without(connection, detector)
    faces = load_assigned_faces(connection, detector)
    run, parameters = hierarchy.run, dict(hierarchy.run.parameters)
    scope = face_scope(connection, detector, faces.face_id, parameters["time_bucket"])
    # Faces excluded by the limit existed already: only faces found later are new.
    later = faces_found_since(connection, detector.id, run.made_at)
    new = scope.of(float(parameters["min_quality"])) & np.isin(faces.face_id, later)
    clusters = clusters_of(connection, detector, faces.face_id)
    lost = int((new & (clusters.number < 0)).sum())
    added = int(new.sum())
    latest = latest_parameters(connection, list(parameters)) or parameters
    changed = [
        f"{name.replace('_', '-')}: {_worded(parameters[name])} before, {_worded(latest[name])} now"
        for name in parameters
        if latest.get(name, parameters[name]) != parameters[name]
    ]
    known, of_run = rows_of(hierarchy.face_id, faces.face_id)
    drift = _drift(
        connection, detector, hierarchy, faces.embedding[known], of_run, clusters.number[known], clusters.ids
    )
    figures = Staleness(
        exists=True,
        made=run.made_at.isoformat(timespec="seconds"),
        faces=run.faces,
        added=added,
        unassigned=lost,
        share_added=round(added / max(run.faces, 1), 4),
        share_unassigned=round(lost / max(added, 1), 4),
        drift=round(drift, 4),
        changed=changed,
    )
    reasons = _reasons(figures)
    return replace(figures, due=bool(reasons), reasons=reasons)


def _without(connection: Connection, detector: DetectorRow | None) -> Staleness:
    """Report that no hierarchy is current; a new one is due if the old one used another model's faces."""
    if detector is None or latest_parameters(connection, []) is None:
        return Staleness()
    return Staleness(due=True, reasons=["the hierarchy was made with another model, or is missing"])


def _reasons(figures: Staleness) -> list[str]:
    reasons = []
    if figures.share_added >= MAX_ADDED:
        reasons.append(f"{counted(figures.added, 'face')} added to {figures.faces}")
    if figures.unassigned >= MIN_UNASSIGNED and figures.share_unassigned >= MAX_UNASSIGNED:
        reasons.append(f"{figures.unassigned} of {figures.added} added faces could not be placed")
    if figures.drift >= MAX_DRIFT:
        reasons.append(f"a tenth of the centroids moved by {figures.drift:.2f} or more")
    if figures.changed:
        reasons.append("the parameters have changed")
    return reasons


def _worded(value: object) -> str:
    return "none" if value is None else str(value)


def _drift(
    connection: Connection,
    detector: DetectorRow,
    hierarchy: Hierarchy,
    embedding: Float32,
    of_run: Int64,
    number: Int64,
    ids: list[str],
) -> float:
    """Return the drift of the clusters' centroids: nine tenths stay below it."""
    label = hierarchy.result.labels[of_run]
    then = centroids(embedding, label)
    home = largest_in(label, number, len(then))
    now = fresh_centers(connection, detector)
    place = {each: row for row, each in enumerate(now.ids)}
    row = np.array([place.get(ids[each], -1) if each >= 0 else -1 for each in home.tolist()], np.int64)
    there = np.flatnonzero(row >= 0)
    if not len(there):
        return 0.0
    moved = 1.0 - np.einsum("ij,ij->i", then[there], now.centroid[row[there]])
    return float(np.quantile(np.clip(moved, 0, 2), 0.9))
