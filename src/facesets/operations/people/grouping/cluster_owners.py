"""Whose the faces of clusters are: those of a cluster join the person who is in it already."""

from dataclasses import replace

import numpy as np

from facesets.clustering.centroids import unit_centres
from facesets.clustering.people.incremental import NOBODY, Joined, PersonMatches, join_people
from facesets.operations.people.grouping.matching import means_of_people
from facesets.records import Int64
from facesets.store.postgres.people.peopled_faces import PeopledFaces

MARGIN = 0.05
"""Cosine similarity by which one person of a cluster has to be nearer than the next."""
_AT_ONCE = 16_384


def join_by_clusters(
    faces: PeopledFaces,
    cluster: Int64,
    *,
    min_cosine_similarity: float,
    least_in_cluster: float,
    min_size: int,
) -> Joined:
    """Decide about the faces without a person by the clusters that all faces are in.

    A face joins the person of its cluster; of several the one to whose faces there it is nearest, if by a
    margin, else it is left for review. It stays alone if it is like none of them. The faces of other clusters
    join a known person to whose faces they are similar on average, or become new people by their clusters.

    Parameters
    ----------
    cluster : int64 array of shape (n,)
        -1 for none.
    min_cosine_similarity : float
        From which on a face of another cluster joins a known person.
    least_in_cluster : float
        From which on a face joins a person of its own cluster: to the direction of their faces there.
    """
    new = np.flatnonzero(faces.person < 0)
    person = np.full(len(new), NOBODY, np.int64)
    near = _owners_of(faces, cluster, new)
    left = np.setdiff1d(np.arange(len(new)), near.face)
    review = [_nearest_owner(near, person, least_in_cluster)]
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


def _owners_of(faces: PeopledFaces, cluster: Int64, new: Int64) -> PersonMatches:
    """How similar new faces, by their places in `new`, are to the people who have faces in their cluster."""
    owned = np.flatnonzero((faces.person >= 0) & (cluster >= 0))
    both = np.stack([cluster[owned], faces.person[owned]], axis=1)
    pairs, of_face = np.unique(both, axis=0, return_inverse=True)
    number = np.full(len(cluster), NOBODY, np.int64)
    number[owned] = of_face.reshape(-1)
    centres = unit_centres(faces.embedding, number, np.arange(len(pairs)))
    first = np.searchsorted(pairs[:, 0], cluster[new])
    count = np.searchsorted(pairs[:, 0], cluster[new], side="right") - first
    count[cluster[new] < 0] = 0
    face = np.repeat(np.arange(len(new)), count)
    pair = np.repeat(first, count) + np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    similarity = np.empty(len(face), np.float32)
    for start in range(0, len(face), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        similarity[some] = np.einsum("ij,ij->i", faces.embedding[new[face[some]]], centres[pair[some]])
    return PersonMatches(face, pairs[pair, 1], similarity)


def _nearest_owner(near: PersonMatches, person: Int64, least: float) -> PersonMatches:
    """Give faces to the person of their cluster they are nearest to; returns what is left for review."""
    order = np.lexsort((near.person, -near.similarity, near.face))
    face, whom, similarity = near.face[order], near.person[order], near.similarity[order]
    first = np.flatnonzero(np.diff(face, prepend=-1))
    following = np.append(similarity, -np.inf)[np.minimum(first + 1, len(face))]
    alone = np.append(face, -1)[np.minimum(first + 1, len(face))] != face[first]
    like = similarity[first] >= least
    sure = like & (alone | (similarity[first] - following >= MARGIN))
    person[face[first[sure]]] = whom[first[sure]]
    return near.of(np.isin(near.face, face[first[like & ~sure]]))
