"""Whose the faces of clusters are: those of a cluster join the person who is in it already."""

from dataclasses import replace

import numpy as np

from facesets.clustering.incremental import NOBODY, Joined, join_people
from facesets.clustering.person_matches import PersonMatches
from facesets.operations.people.matching import means_of_people
from facesets.records import Float32, Int64
from facesets.store.postgres.people import PeopledFaces

MARGIN = 0.05
"""Cosine similarity by which one person of a cluster has to be nearer than the next."""


def join_by_clusters(
    faces: PeopledFaces, cluster: Int64, *, min_cosine_similarity: float, min_size: int
) -> Joined:
    """Decide about the faces without a person by the clusters that all faces are in.

    A face joins the person of its cluster; of several the one to whose faces there it is nearest, if by a
    margin, else it is left for review. The others join a known person to whose faces they are similar on
    average, or become new people by their clusters.

    Parameters
    ----------
    faces : PeopledFaces
    cluster : int64 array of shape (n,)
        -1 for none.
    """
    new = np.flatnonzero(faces.person < 0)
    person = np.full(len(new), NOBODY, np.int64)
    owned = (faces.person >= 0) & (cluster >= 0)
    pairs = np.unique(np.stack([cluster[owned], faces.person[owned]], axis=1), axis=0)
    owners = np.bincount(pairs[:, 0], minlength=int(cluster.max(initial=-1)) + 2)
    count = np.where(cluster[new] >= 0, owners[cluster[new]], 0)
    only = np.full(len(owners), NOBODY, np.int64)
    only[pairs[:, 0]] = pairs[:, 1]
    person[count == 1] = only[cluster[new[count == 1]]]
    several = np.flatnonzero(count > 1)
    review = [_nearest_owner(faces, cluster, pairs, new, several, person)]
    left = np.flatnonzero(count == 0)
    means, known = means_of_people(faces.embedding, faces.person, len(faces.persons))
    rest = join_people(
        faces.embedding[new[left]],
        means,
        known,
        lambda some: cluster[new[left[some]]],
        min_cosine_similarity=min_cosine_similarity,
        min_size=min_size,
    )
    person[left] = rest.person
    group = np.full(len(new), NOBODY, np.int64)
    group[left] = rest.group
    review.append(replace(rest.review, face=left[rest.review.face]))
    together = PersonMatches(
        np.concatenate([each.face for each in review]),
        np.concatenate([each.person for each in review]),
        np.concatenate([each.similarity for each in review]),
    )
    return Joined(person, group, together, rest.checked)


def _nearest_owner(
    faces: PeopledFaces, cluster: Int64, pairs: Int64, new: Int64, several: Int64, person: Int64
) -> PersonMatches:
    """Give faces of clusters with several people to the nearest of these; returns what is left for review."""
    face, whom, similarity = [], [], []
    for number in np.unique(cluster[new[several]]).tolist():
        owners = pairs[pairs[:, 0] == number, 1]
        inside = cluster == number
        means: Float32 = np.stack(
            [faces.embedding[inside & (faces.person == each)].mean(axis=0) for each in owners]
        )
        some = several[cluster[new[several]] == number]
        near = faces.embedding[new[some]] @ means.T
        ranked = np.sort(near, axis=1)
        sure = ranked[:, -1] - ranked[:, -2] >= MARGIN
        person[some[sure]] = owners[near[sure].argmax(axis=1)]
        for row, unsure in zip(some[~sure].tolist(), near[~sure], strict=True):
            face += [row] * len(owners)
            whom += owners.tolist()
            similarity += unsure.tolist()
    return PersonMatches(np.array(face, np.int64), np.array(whom, np.int64), np.array(similarity, np.float32))
