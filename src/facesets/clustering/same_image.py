"""Two faces in one image are two people, unless the image shows one person twice."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facesets.clustering.constraints import Constraints
from facesets.clustering.neighbors import pair_similarities
from facesets.clustering.vectors import (
    Bool,
    Embeddings,
    Int64,
    canonical_order,
    check_cosine_similarity,
    unit_rows,
)

_WITNESSES = 16_384
_BLOCK_ROWS = 512
_BLOCK_PAIRS = 4096
_LEAST_SHARED = 3
_LEAST_SHARE = 0.5


def same_image_pairs(
    embeddings: Embeddings,
    image_index: ArrayLike,
    *,
    max_cosine_similarity: float = 0.8,
    companion_similarity: float = 0.5,
) -> Constraints:
    """Two faces in one image are two people: a cannot-link for each such pair.

    Mirrors, collages and pictures in the picture show one person twice. Such a pair gets no constraint; it
    is known by its similarity, or by the company that the two keep: half of the faces that resemble the
    one resemble the other too. A wrong constraint would do much harm, for it cuts a person in two.

    Parameters
    ----------
    embeddings : float array of shape (n, d)
    image_index : integers of shape (n,)
        The image of each face; negative where unknown.
    max_cosine_similarity : float
        A pair as similar as this is one face seen twice.
    companion_similarity : float
        Faces as similar as this resemble each other. Company is looked for among 16 384 faces at most.

    Raises
    ------
    ValueError
        When the embeddings are malformed, or there is not one image a face.
    """
    check_cosine_similarity(max_cosine_similarity, name="max_cosine_similarity")
    check_cosine_similarity(companion_similarity, name="companion_similarity")
    image = np.asarray(image_index).astype(np.int64)
    if image.shape != (len(embeddings),):
        raise ValueError(f"There are {image.size} image numbers for {len(embeddings)} faces.")
    pairs = _in_one_image(image)
    used, place = np.unique(pairs, return_inverse=True)
    place = place.reshape(-1, 2)
    rows = unit_rows(embeddings, used)
    apart = pair_similarities(rows, place[:, 0], place[:, 1]) < max_cosine_similarity
    pairs, place = pairs[apart], place[apart]
    if len(pairs):
        company = _company(embeddings, used, image, companion_similarity)
        pairs = pairs[~_shared(company, place)]
    return Constraints(cannot_link=pairs)


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


def _company(embeddings: Embeddings, faces: Int64, image: Int64, similarity: float) -> NDArray[np.uint8]:
    """For each face, as bits, which of the witnesses in other images resemble it."""
    order = canonical_order(embeddings)
    witness = order[:: max(1, -(-len(order) // _WITNESSES))]
    seen_by = unit_rows(embeddings, witness)
    bits = np.empty((len(faces), -(-len(witness) // 8)), np.uint8)
    for start in range(0, len(faces), _BLOCK_ROWS):
        here = faces[start : start + _BLOCK_ROWS]
        near = unit_rows(embeddings, here) @ seen_by.T >= similarity
        near &= image[here, None] != image[witness]
        bits[start : start + len(here)] = np.packbits(near, axis=1)
    return bits


def _shared(company: NDArray[np.uint8], pairs: Int64) -> Bool:
    """Which pairs keep the same company."""
    count = np.bitwise_count(company).sum(axis=1, dtype=np.int64)
    result = np.empty(len(pairs), bool)
    for start in range(0, len(pairs), _BLOCK_PAIRS):
        i, j = pairs[start : start + _BLOCK_PAIRS].T
        common = np.bitwise_count(company[i] & company[j]).sum(axis=1, dtype=np.int64)
        least = np.maximum(_LEAST_SHARED, _LEAST_SHARE * np.minimum(count[i], count[j]))
        result[start : start + len(i)] = common >= least
    return result
