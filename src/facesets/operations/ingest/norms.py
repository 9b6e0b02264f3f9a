"""Missing norms: how many faces lack one, and the command that measures them."""

import numpy as np

from facesets.errors import Command
from facesets.records import CacheSettings, Faces


def norms_measure_quality(models: CacheSettings) -> bool:
    """Whether the norms of these models measure face quality; then `enrich` can add them."""
    # They import SciPy and an HTTP client, which are not needed if all faces have a norm.
    from facesets.clustering.known_recognizers import known_recognizer
    from facesets.remote.service_embedder import service_model

    return service_model(models) is None and known_recognizer(models.recognizer).norm_is_informative


def without_norm(faces: Faces) -> int:
    """Count the faces without a norm."""
    return len(faces) if faces.norm is None else int(np.isnan(faces.norm).sum())


def lacking_norm(faces: Faces, models: CacheSettings) -> int:
    """Count the faces without a norm that `enrich` can add."""
    count = without_norm(faces)
    return count if count and norms_measure_quality(models) else 0


def lack_of_norms(count: int) -> str:
    """Describe how many faces lack a norm; the caller adds a full stop or the command."""
    if count == 1:
        return "1 face from an older version has no norm (a quality measure)"
    return f"{count:,} faces from an older version have no norm (a quality measure)"


def how_to_measure(count: int, *cache: str) -> str:
    """Return the same as a sentence with the command; `cache` is the cache file, none for the library."""
    return f"{lack_of_norms(count)}: run {Command('enrich', *cache)}."
