"""Norms that are missing: of how many faces, and the command that measures them."""

import numpy as np

from facesets.errors import Command
from facesets.records import CacheSettings, Faces


def norms_tell(models: CacheSettings) -> bool:
    """Whether norms say how much faces found by these models show; then `enrich` can measure them."""
    # They bring SciPy and an HTTP client, which nobody needs whose faces all have a norm.
    from facesets.clustering.recognisers import recogniser_named
    from facesets.remote.service_embedder import service_model

    return service_model(models) is None and recogniser_named(models.recogniser).norm_tells


def without_norm(faces: Faces) -> int:
    """How many faces have no norm."""
    return len(faces) if faces.norm is None else int(np.isnan(faces.norm).sum())


def lacking_norm(faces: Faces, models: CacheSettings) -> int:
    """How many faces have no norm though `enrich` can measure it."""
    count = without_norm(faces)
    return count if count and norms_tell(models) else 0


def lack_of_norms(count: int) -> str:
    """The words for faces without one; a full stop, or the command that measures them, is to follow."""
    if count == 1:
        return "1 face found by an older version lacks the measure of how much it shows"
    return f"{count:,} faces found by an older version lack the measure of how much they show"


def how_to_measure(count: int, *cache: str) -> str:
    """The same as a sentence; `cache` is the file that holds the faces, none where it is the library."""
    return f"{lack_of_norms(count)}: run {Command('enrich', *cache)}."
