"""Tag images by CLIP: score the texts of a category, and keep the best.

References
----------
Radford et al., "Learning transferable visual models from natural language supervision", ICML 2021 (zero-shot
classification, prompt ensembling in section 3.1.4, the logit scale).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facesets.inference.clip_image import unit_vector
from facesets.library_records import TagCategory
from facesets.records import Bool, Float32, Int64


class Tagged(NamedTuple):
    """Tags as columns: image, tag number, confidence in [0, 1]."""

    row: Int64
    tag: Int64
    confidence: Float32


@dataclass(frozen=True, slots=True)
class TagVectors:
    """A category as embeddings.

    Attributes
    ----------
    tags : tuple of int
        Numbers of its tags.
    vectors : float32 array of shape (n, d)
        Of the tags in their order, then that of none of them if there is one; of unit length.
    """

    category: TagCategory
    tags: tuple[int, ...]
    vectors: Float32


def text_vectors(category: TagCategory, encode: Callable[[str], Float32]) -> Float32:
    """Return the embeddings of a category's tags: the mean of their prompts, (n, d).

    Raises
    ------
    CannotInfer
        As `encode`, or the prompts of a tag cancel each other out.
    """
    return np.array(
        [unit_vector(np.mean([encode(each) for each in some], axis=0)) for some in category.prompts()],
        np.float32,
    )


class ZeroShot:
    """Categories to tag images with. May be used from several threads at once."""

    def __init__(self, categories: Sequence[TagVectors], logit_scale: float) -> None:
        """Combine the categories."""
        self._categories = categories
        self._scale = logit_scale
        self._texts = np.ascontiguousarray(np.concatenate([each.vectors for each in categories]).T)

    def confidences(self, embeddings: Float32) -> list[NDArray[np.float64]]:
        """Return for each category the softmax over its embeddings, (images, n).

        Parameters
        ----------
        embeddings : float32 array of shape (pictures, d)
            Of unit length.
        """
        # One product per picture: in one for all, the last bits depend on the number of pictures.
        similarity = np.matmul(np.ascontiguousarray(embeddings)[:, None, :], self._texts)[:, 0]
        logits = similarity.astype(np.float64) * self._scale
        found, start = [], 0
        for each in self._categories:
            some = logits[:, start : start + len(each.vectors)]
            start += len(each.vectors)
            powers = np.exp(some - some.max(axis=1, keepdims=True))
            found.append(powers / powers.sum(axis=1, keepdims=True))
        return found

    def tags(self, embeddings: Float32) -> Tagged:
        """Return the tags of some images, each independent of the others."""
        parts = [
            _assigned(each, confidence)
            for each, confidence in zip(self._categories, self.confidences(embeddings), strict=True)
        ]
        return Tagged(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _assigned(each: TagVectors, confidence: NDArray[np.float64]) -> Tagged:
    is_assigned: Bool = confidence >= each.category.min_confidence
    if each.category.selection_mode == "single":
        best = np.zeros_like(is_assigned)
        best[np.arange(len(is_assigned)), confidence.argmax(axis=1)] = True
        is_assigned &= best
    # The last row may be "none of the tags".
    rows, columns = np.nonzero(is_assigned[:, : len(each.tags)])
    return Tagged(rows, np.array(each.tags, np.int64)[columns], confidence[rows, columns].astype(np.float32))
