"""Two faces in one image are two people, unless the image shows one person twice."""

from collections import defaultdict

import numpy as np
from numpy.typing import ArrayLike

from facesets.clustering.constraints import Constraints
from facesets.clustering.neighbors import pair_similarities
from facesets.clustering.vectors import (
    Bool,
    Embeddings,
    Int64,
    canonical_order,
    unit_rows,
)

_WITNESSES = 16_384
_BLOCK_PAIRS = 256
_LEAST_SHARED = 3
_LEAST_SHARE = 0.5
_ALIKE = 0.15
_SEEN_TWICE = 0.8
"""A pair as similar as this is one face seen twice."""
_COMPANIONS = 0.5
"""Faces as similar as this resemble each other."""


def same_image_pairs(embeddings: Embeddings, image_index: ArrayLike) -> Constraints:
    """Two faces in one image are two people: a cannot-link for each such pair.

    Mirrors, collages and pictures in the picture show one person twice. Such a pair gets no constraint; it
    is known by its similarity, or by the company that three or more faces of the image keep: half of the
    faces that resemble the one resemble the other as much. Two such faces stay apart, for they may be
    sisters; three are rather a collage, where the constraint would cut a person in pieces. Company is looked
    for among 16 384 faces at most.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
    image_index : integers of shape (n,)
        The image of each face; negative where unknown.

    Raises
    ------
    ValueError
        When the embeddings are malformed, or there is not one image a face.
    """
    image = np.asarray(image_index).astype(np.int64)
    if image.shape != (len(embeddings),):
        raise ValueError(f"There are {image.size} image numbers for {len(embeddings)} faces.")
    pairs = _in_one_image(image)
    used, place = np.unique(pairs, return_inverse=True)
    place = place.reshape(-1, 2)
    rows = unit_rows(embeddings, used)
    similarity = pair_similarities(rows, place[:, 0], place[:, 1])
    apart = similarity < _SEEN_TWICE
    # Nearly all pairs are strangers, for whom the company need not be asked.
    unsure = np.flatnonzero(apart & (similarity >= _COMPANIONS / 2))
    unsure = unsure[_in_triangles(pairs[unsure])]
    unsure = unsure[_keep_one_company(embeddings, image, pairs[unsure])]
    apart[unsure[_in_triangles(pairs[unsure])]] = False
    return Constraints(cannot_link=pairs[apart])


def _in_one_image(image: Int64) -> Int64:
    order = np.argsort(image, kind="stable")
    order = order[image[order] >= 0]
    found = [np.empty((0, 2), np.int64)]
    for gap in range(1, len(order)):
        same = image[order[gap:]] == image[order[:-gap]]
        if not same.any():
            break
        found.append(np.c_[order[:-gap][same], order[gap:][same]])
    return np.concatenate(found)


def _keep_one_company(embeddings: Embeddings, image: Int64, pairs: Int64) -> Bool:
    """Which pairs are resembled by the same faces of other images, and by each of these about as much.

    Look-alikes, such as twins, are resembled by the same faces too; but each more by its own.
    """
    result = np.empty(len(pairs), bool)
    if not len(pairs):
        return result
    order = canonical_order(embeddings)
    witness = order[:: max(1, -(-len(order) // _WITNESSES))]
    seen_by = unit_rows(embeddings, witness)
    for start in range(0, len(pairs), _BLOCK_PAIRS):
        block = pairs[start : start + _BLOCK_PAIRS]
        faces, place = np.unique(block, return_inverse=True)
        found = unit_rows(embeddings, faces) @ seen_by.T
        found[image[faces, None] == image[witness]] = -1
        count = (found >= _COMPANIONS).sum(axis=1)
        i, j = place.reshape(-1, 2).T
        both = np.minimum(found[i], found[j]) >= _COMPANIONS
        both &= np.abs(found[i] - found[j]) <= _ALIKE
        least = np.maximum(_LEAST_SHARED, _LEAST_SHARE * np.minimum(count[i], count[j]))
        result[start : start + len(block)] = both.sum(axis=1) >= least
    return result


def _in_triangles(pairs: Int64) -> Bool:
    """Which pairs have a third face that is paired with both."""
    beside: dict[int, set[int]] = defaultdict(set)
    for i, j in pairs.tolist():
        beside[i].add(j)
        beside[j].add(i)
    return np.array([bool(beside[i] & beside[j]) for i, j in pairs.tolist()], bool)
