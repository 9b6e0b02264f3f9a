"""Clusters of the library: faces that a run grouped, regardless of their people."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from facesets.clustering.people.incremental import FaceDecisions
from facesets.records import Bool, Int64
from facesets.store.postgres.people.assigned_faces import AssignedFaces
from facesets.store.postgres.people.clusters import (
    NONE,
    ClusterBirth,
    FaceClusters,
    drop_empty,
    put_into,
    store_clusters,
)
from facesets.store.postgres.people.face_groups import OF_PERSON
from facesets.store.postgres.people.steps import Step


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """The planned clusters of faces.

    Attributes
    ----------
    face_id, number : int64 arrays of shape (n,)
        Faces, and the index of each into `ids`, or -1 for none.
    births : mapping
        Origins of the clusters from a saved run.
    """

    face_id: Int64
    number: Int64
    ids: list[str]
    births: Mapping[str, ClusterBirth] = field(default_factory=dict)


def store_plan(step: Step, model_id: int, plan: ClusterPlan) -> int:
    """Put faces into their clusters, as part of a change; return how many changed."""
    used = [plan.ids[number] for number in np.unique(plan.number[plan.number >= 0]).tolist()]
    store_clusters(step, model_id, {each: plan.births.get(each) for each in used})
    changed = put_into(step, plan.face_id, plan.number, plan.ids)
    drop_empty(step, model_id)
    return changed


def plan_of_groups(
    faces: AssignedFaces,
    clusters: FaceClusters,
    joined: FaceDecisions,
    new_id: Callable[[], UUID],
    leaving: Bool,
) -> ClusterPlan:
    """Plan clusters: new people get their own; a face that joins a person gets that person's largest.

    Unassigned faces that are `leaving` a person, bool array of shape (n,), leave the
    cluster as well.
    """
    new = np.flatnonzero(faces.person < 0)
    number = np.full(len(new), NONE, np.int64)
    grouped = joined.group >= 0
    ids = matched_ids(joined.group, clusters.number[new], clusters.ids, named_by(new_id))
    number[grouped] = joined.group[grouped]
    home = largest_in(faces.person, clusters.number, len(faces.persons))
    joins = np.flatnonzero(joined.person >= 0)
    at_home = home[joined.person[joins]]
    number[joins] = np.where(at_home >= 0, at_home + len(ids), NONE)
    decided = (number >= 0) | leaving
    return ClusterPlan(faces.face_id[new[decided]], number[decided], [*ids, *clusters.ids])


def largest_in(person: Int64, cluster: Int64, people: int) -> Int64:
    """Return for each group of faces the cluster with most of them; -1 for none."""
    both = (person >= 0) & (cluster >= 0)
    pairs, count = np.unique(np.stack([person[both], cluster[both]], axis=1), axis=0, return_counts=True)
    largest = np.full(people, NONE, np.int64)
    order = np.lexsort((-pairs[:, 1], count))
    largest[pairs[order, 0]] = pairs[order, 1]
    return largest


def named_by(new_id: Callable[[], UUID]) -> Callable[[int], list[str]]:
    """Return a function that makes ids of clusters, numbered like those of plain runs."""
    return lambda count: [f"clu_{new_id().hex[:12]}" for _ in range(count)]


def matched_ids(
    label: Int64, before: Int64, ids: list[str], new_ids: Callable[[int], list[str]]
) -> list[str]:
    """Return ids for clusters: that of the earlier cluster with most of its faces, else a new one.

    Parameters
    ----------
    label : int64 array of shape (n,)
        The clusters; negative for none.
    before : int64 array of shape (n,)
        The earlier clusters of the same faces, an index into `ids`; negative for none.
    new_ids : callable
        Returns a given number of new ids.
    """
    count = int(label.max(initial=-1)) + 1
    size = np.bincount(before[before >= 0], minlength=len(ids))
    both = (label >= 0) & (before >= 0)
    pairs, shared = np.unique(np.stack([label[both], before[both]], axis=1), axis=0, return_counts=True)
    mostly = 2 * shared > size[pairs[:, 1]]
    pairs, shared = pairs[mostly], shared[mostly]
    found: dict[int, str] = {}
    for row in np.lexsort((pairs[:, 1], -shared)).tolist():
        cluster, earlier = pairs[row].tolist()
        if cluster not in found and not ids[earlier].startswith(OF_PERSON):
            found[cluster] = ids[earlier]
    missing = [cluster for cluster in range(count) if cluster not in found]
    found |= dict(zip(missing, new_ids(len(missing)) if missing else [], strict=True))
    return [found[cluster] for cluster in range(count)]
