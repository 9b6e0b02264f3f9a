"""New faces to known people: the nearest centroid within a threshold."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from facesets.clustering import centroids, nearest, same_image_pairs
from facesets.operations.options.declaration import settled
from facesets.operations.options.results import ExtendOptions
from facesets.records import Collection, Faces, Int64
from facesets.results.membership import GroupMembership


def route(
    faces: Faces,
    new: Int64,
    members: Sequence[Int64],
    *,
    max_cosine_distance: float,
    same_image_ok: bool,
) -> Int64:
    """Find the group that each new face joins.

    A face joins the group with the nearest centroid, or none: not where a nearer face of its photo goes, or
    where one is already, unless the two look so much alike that they are one face seen twice.

    Parameters
    ----------
    new : int64 array of shape (n,)
        Rows of the faces to route.
    members : sequence of int64 arrays
        Rows of each group. A group without rows attracts nobody.

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
    foes = defaultdict(list) if same_image_ok else _foes(faces, new)
    for place in np.argsort(found.cosine_distance, kind="stable"):
        if found.cosine_distance[place] > max_cosine_distance:
            break
        row, group = int(new[place]), int(known[found.reference[place]])
        if not any(label[foe] == group for foe in foes[row]):
            target[place] = label[row] = group
    return target


def join_known(collection: Collection, known: GroupMembership, new: Int64, options: ExtendOptions) -> Int64:
    """Index of the group that each new face joins, hidden ones after the others; -1 for none."""
    rows = {face: row for row, face in enumerate(collection.face_ids())}
    members = [
        np.array([rows[face.face] for face in faces if face.face in rows], np.int64)
        for faces in (*known.groups.values(), *known.hidden.values())
    ]
    return route(
        collection.faces,
        new,
        members,
        max_cosine_distance=settled(options.threshold),
        same_image_ok=options.same_image_ok,
    )


def _foes(faces: Faces, new: Int64) -> defaultdict[int, list[int]]:
    """For each new face the faces of its photo that show somebody else."""
    rows = np.flatnonzero(np.isin(faces.image, faces.image[new]))
    pairs = same_image_pairs(faces.embedding[rows], faces.image[rows]).cannot_link
    foes: defaultdict[int, list[int]] = defaultdict(list)
    for first, second in rows[pairs].tolist():
        foes[first].append(second)
        foes[second].append(first)
    return foes
