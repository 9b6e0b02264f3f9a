"""Extend face sets: send new faces through refine's gates, and make sets of clusters now large enough."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from facesets.clustering import centroids, nearest, same_image_pairs
from facesets.imaging.quality import quality
from facesets.interfaces import Progress
from facesets.operations.grouping.gating import report_unmeasured
from facesets.operations.grouping.refine import (
    dropped_faces,
    gate_faces,
    gate_joined,
    surviving,
    years_of_faces,
)
from facesets.operations.options.declaration import settled
from facesets.operations.options.results import ExtendOptions
from facesets.operations.options.start import RefineOptions
from facesets.records import Collection, Faces, Int64
from facesets.results.edits.membership import GroupMembership
from facesets.results.manifest import DroppedFace, FaceEntry, RefineManifest, face_describer
from facesets.results.names.group_names import following_names

_CLUSTER = "cluster_"


@dataclass(frozen=True, slots=True)
class ExtendedSets:
    """The outcome for new faces.

    Attributes
    ----------
    new : int
        Faces that the result did not have.
    new_images : int
        Images without a face in the result.
    joined, made : dict
        New faces by the group that they joined; faces of each new group.
    alone : int
        New faces without a group.
    dropped : tuple of DroppedFace
        All faces without a face set, with the gate.
    dropped_by : dict
        The new ones among them, by gate.
    """

    new: int
    joined: dict[str, int]
    made: dict[str, int]
    alone: int
    new_images: int = 0
    dropped: tuple[DroppedFace, ...] = ()
    dropped_by: dict[str, int] = field(default_factory=dict)


def grown_sets(
    collection: Collection,
    before: RefineManifest,
    membership: GroupMembership,
    options: ExtendOptions,
    progress: Progress,
) -> ExtendedSets:
    """Route new faces to face sets through the gates that these were made with, and refine the others.

    Faces that were in clusters too small for a face set are refined again together with the new ones.
    """
    gates = _gates_of(before, options)
    rows = {face: row for row, face in enumerate(collection.face_ids())}
    earlier = [replace(drop, group=membership.renamed.get(drop.group, drop.group)) for drop in before.dropped]
    known_ids = membership.face_ids() | {drop.face.face for drop in earlier}
    new = np.array([row for face, row in rows.items() if face not in known_ids], np.int64)
    if not len(new):
        return ExtendedSets(0, {}, {}, 0, 0, tuple(earlier))
    report_unmeasured(collection.faces.take(new), collection.settings, gates, progress)
    describe = face_describer(collection, quality(collection.faces).total)
    joined = join_known(collection, membership, new, options)
    names = [*membership.groups, *membership.hidden]
    dropped = _join(collection, membership, new[joined >= 0], joined[joined >= 0], gates, rows, describe)
    rest = np.r_[new[joined < 0], _in_small_clusters(earlier, rows)]
    rest.sort()
    gated = gate_faces(collection.faces.take(rest), gates, years_of_faces(collection)[rest])
    fresh = surviving(gated)
    made = following_names("faceset", membership.names_in_use(), len(fresh))
    by_cluster = {int(gated.cluster[part[0]]): name for part, name in zip(fresh, made, strict=True)}
    for part, name in zip(fresh, made, strict=True):
        membership.groups[name] = [describe(int(row)) for row in rest[part]]
    again = dropped_faces(gated, by_cluster, lambda place: describe(int(rest[place])))
    judged = set(rest.tolist())
    everything = (*(drop for drop in earlier if rows.get(drop.face.face, -1) not in judged), *dropped, *again)
    new_ids = rows.keys() - known_ids
    by_gate = Counter(drop.gate for drop in everything if drop.face.face in new_ids)
    accepted = Counter(names[group] for group in joined[joined >= 0].tolist())
    accepted -= Counter(drop.group for drop in dropped)
    images = collection.faces.image
    old_rows = np.array([row for face, row in rows.items() if face in known_ids], np.int64)
    return ExtendedSets(
        new=len(new),
        joined={name: accepted[name] for name in names if accepted[name]},
        made={name: len(membership.groups[name]) for name in made},
        alone=by_gate.total(),
        new_images=len(np.setdiff1d(images[new], images[old_rows])),
        dropped=everything,
        dropped_by=dict(sorted(by_gate.items())),
    )


def _gates_of(manifest: RefineManifest, options: ExtendOptions) -> RefineOptions:
    known = {each.name for each in fields(RefineOptions)}
    recorded = {name: value for name, value in manifest.made.options.items() if name in known}
    return replace(RefineOptions(**recorded), same_image_ok=options.same_image_ok)


def _in_small_clusters(dropped: list[DroppedFace], rows: dict[str, int]) -> Int64:
    """Return the rows of faces in clusters that were too small."""
    found = [
        rows[drop.face.face] for drop in dropped if drop.group.startswith(_CLUSTER) and drop.face.face in rows
    ]
    return np.array(found, np.int64)


def _join(
    collection: Collection,
    membership: GroupMembership,
    new: Int64,
    group: Int64,
    gates: RefineOptions,
    rows: Mapping[str, int],
    describe: Callable[[int], FaceEntry],
) -> tuple[DroppedFace, ...]:
    """Add faces to their groups, except those that a gate drops; `rows` are by id."""
    names = [*membership.groups, *membership.hidden]
    lists = [*membership.groups.values(), *membership.hidden.values()]
    pairs = [
        (rows[face.face], number) for number, faces in enumerate(lists) for face in faces if face.face in rows
    ]
    old = np.array(pairs, np.int64).reshape(-1, 2)
    every = np.r_[old[:, 0], new]
    label = np.r_[old[:, 1], group]
    joined = np.arange(len(every)) >= len(old)
    years = years_of_faces(collection)[every]
    gated = gate_joined(collection.faces.take(every), label, joined, gates, years)
    for place in np.flatnonzero(joined & (gated.gate == "")):
        lists[label[place]].append(describe(int(every[place])))
    return dropped_faces(gated, dict(enumerate(names)), lambda place: describe(int(every[place])))


def route(
    faces: Faces,
    new: Int64,
    members: Sequence[Int64],
    *,
    max_cosine_distance: float,
    same_image_ok: bool,
) -> Int64:
    """Find the group that each new face joins.

    A face joins the group with the nearest centroid. If that group has or gets a nearer face of the same
    photo, it joins none, unless the two are similar enough to be one face detected twice.

    Parameters
    ----------
    new : int64 array of shape (n,)
        Rows of the faces to route.
    members : sequence of int64 arrays
        Rows of each group. A group without rows attracts no face.

    Returns
    -------
    int64 array of shape (n,)
        Index of the group; -1 for none.
    """
    target = np.full(len(new), -1, np.int64)
    label = np.full(len(faces), -1, np.int64)
    for group, rows in enumerate(members):
        label[rows] = group
    known = np.unique(label[label >= 0])
    if not len(known) or not len(new):
        return target
    references = centroids(faces.embedding, label)[known]
    found = nearest(faces.embedding[new], references)
    conflicts = defaultdict(list) if same_image_ok else _conflicts_in_photos(faces, new)
    for place in np.argsort(found.cosine_distance, kind="stable"):
        if found.cosine_distance[place] > max_cosine_distance:
            break
        row, group = int(new[place]), int(known[found.reference[place]])
        if not any(label[conflict] == group for conflict in conflicts[row]):
            target[place] = label[row] = group
    return target


def join_known(
    collection: Collection, membership: GroupMembership, new: Int64, options: ExtendOptions
) -> Int64:
    """Return the index of the group that each new face joins, hidden ones last; -1 for none."""
    rows = {face: row for row, face in enumerate(collection.face_ids())}
    members = [
        np.array([rows[face.face] for face in faces if face.face in rows], np.int64)
        for faces in (*membership.groups.values(), *membership.hidden.values())
    ]
    return route(
        collection.faces,
        new,
        members,
        max_cosine_distance=settled(options.threshold),
        same_image_ok=options.same_image_ok,
    )


def _conflicts_in_photos(faces: Faces, new: Int64) -> defaultdict[int, list[int]]:
    """Return for each new face the faces of its photo that show another person."""
    rows = np.flatnonzero(np.isin(faces.image, faces.image[new]))
    pairs = same_image_pairs(faces.embedding[rows], faces.image[rows]).cannot_link
    conflicts: defaultdict[int, list[int]] = defaultdict(list)
    for first, second in rows[pairs].tolist():
        conflicts[first].append(second)
        conflicts[second].append(first)
    return conflicts
