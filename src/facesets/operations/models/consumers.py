"""The recogniser whose embeddings face swappers work with."""

from facesets.inference.catalog import PUBLISHED
from facesets.records import CacheSettings

PACK, RECOGNISER = "buffalo_l", "w600k_r50.onnx"
"""inswapper_128 was trained on this one's embeddings, and the swappers that came after it take the same."""


def is_of_swappers(models: CacheSettings) -> bool:
    """Whether embeddings of these models are what swappers expect: the very same network, by its sha256."""
    return models.recogniser_sha256 == PUBLISHED[PACK].files[RECOGNISER]
