"""Made-up embeddings for tests."""

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class People:
    """Embeddings with the people they show."""

    embedding: NDArray[np.float32]
    name: NDArray[np.str_]


def people(
    count: int, *, faces: int, dimension: int = 32, spread: float = 0.6, seed: int = 0
) -> tuple[Float32, Int64]:
    """Unit vectors around random directions, and whose they are, in random order."""
    rng = np.random.default_rng(seed)
    whose = rng.permutation(np.repeat(np.arange(count), faces))
    centre = _unit(rng.standard_normal((count, dimension)))
    noise = _unit(rng.standard_normal((len(whose), dimension)))
    return _unit(centre[whose] + spread * noise), whose


def many_people(seed: int = 0) -> People:
    """As a collection of photos has them: most people once or twice, a few often, and no two alike."""
    rng = np.random.default_rng(seed)
    whose = rng.permutation(np.repeat(np.arange(1500), np.minimum(rng.zipf(1.9, 1500), 60)))
    basis = np.linalg.qr(rng.standard_normal((512, 128)))[0]
    noise = _unit(rng.standard_normal((len(whose), 128)))
    how_odd = np.exp(rng.normal(-0.35, 0.2, (len(whose), 1)))
    faces = _unit(rng.standard_normal((1500, 128)))[whose] + how_odd * noise
    return People(_unit(faces @ basis.T), np.array([f"person {number}" for number in whose]))


def _unit(rows: NDArray[np.float64]) -> Float32:
    unit: Float32 = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


@st.composite
def unit_vectors(draw: st.DrawFn, max_rows: int = 60) -> Float32:
    """Random, clumped, chained or copied unit vectors."""
    seed = draw(st.integers(0, 2**32 - 1))
    rows = draw(st.integers(2, max_rows))
    kind = draw(st.sampled_from(["random", "clumps", "chain", "copies"]))
    rng = np.random.default_rng(seed)
    dimension = draw(st.integers(2, 24))
    vectors = rng.standard_normal((rows, dimension))
    if kind == "clumps":
        vectors = rng.standard_normal((5, dimension))[rng.integers(0, 5, rows)] + 0.3 * vectors
    if kind == "chain":
        angle = np.cumsum(rng.uniform(0.02, 0.3, rows))
        vectors = np.c_[np.cos(angle), np.sin(angle), np.full((rows, dimension), 0.01)]
    if kind == "copies":
        vectors = vectors[rng.integers(0, max(1, rows // 3), rows)]
    return _unit(vectors)


def same_partition(left: NDArray[np.int64], right: NDArray[np.int64]) -> bool:
    """Whether two labelings group the same faces."""
    pairs = np.unique(np.c_[left, right], axis=0)
    return len(pairs) == len(np.unique(left)) == len(np.unique(right))
