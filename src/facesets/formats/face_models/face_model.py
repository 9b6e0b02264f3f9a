"""Data of a face model: a person to write, or the content read."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facesets.errors import DamagedFile, WrongUsage
from facesets.files import printable, read_regular_file
from facesets.records import Faces, Float32

DIMENSION = 512
"""Dimension of an embedding of `w600k_r50`, which the consumers know."""

LEAD_COLUMNS = ("landmark_2d_106", "landmark_3d_68", "pose", "age", "male")
"""Columns of a face that ReActor's models need besides those that every face has."""

MAX_BYTES = 64_000_000
"""Maximum size of a file; even a model of thousands of people is smaller."""


@dataclass(frozen=True, slots=True)
class FaceModel:
    """A person to be written into a file.

    Attributes
    ----------
    embeddings : float32 array of shape (n, d)
        Unscaled output of the recognizer: sharp faces have longer embeddings and weigh more, as in the
        consumers' own averages.
    files : tuple of str
        The pictures that they come from, best first.
    scores : float32 array of shape (n,)
        The quality of each, in [0, 1].
    lead : Faces or None
        One row: the face whose box and landmarks stand for the person, in pixels of its picture.
    """

    name: str
    embeddings: Float32
    files: tuple[str, ...]
    scores: Float32
    lead: Faces | None = None

    @property
    def mean(self) -> Float32:
        """Return the person's embedding: the mean, (d,)."""
        return mean_of(self.embeddings)


@dataclass(frozen=True, slots=True)
class PersonRead:
    """A person read from a file: the name, if any, and the embedding (d,) used for the swap."""

    name: str
    embedding: Float32


@dataclass(frozen=True, slots=True)
class ModelsRead:
    """The content of a file, as its consumer reads it.

    Attributes
    ----------
    people : list of PersonRead
        Those whose embedding is sound.
    faces : int
        Embeddings in the file.
    problems : list of str
        Problems that its consumer would have, a sentence each.
    least_cosine_similarity : float or None
        Lowest similarity of an embedding to the mean, if the file has both.
    """

    people: list[PersonRead]
    faces: int
    problems: list[str] = field(default_factory=list)
    least_cosine_similarity: float | None = None


def mean_of(embeddings: Float32) -> Float32:
    """Return the mean (d,) of embeddings (n, d), rounded once."""
    mean: Float32 = embeddings.astype(np.float64).mean(axis=0).astype(np.float32)
    return mean


def embedding_problem(embedding: Float32) -> str:
    """Return what is wrong with an embedding, as the end of a sentence; empty for nothing."""
    if embedding.shape != (DIMENSION,):
        return f"has the shape {embedding.shape}, not ({DIMENSION},)"
    if not np.isfinite(embedding).all():
        return "contains NaN or infinity"
    length = float(np.linalg.norm(embedding.astype(np.float64)))
    if not 1e-6 < length < 1e12:
        return f"has length {length:g}, so its direction is undefined"
    return ""


def read_model_bytes(path: Path) -> bytes:
    """Return the bytes of a face model.

    Raises
    ------
    WrongUsage
        There is no such file.
    DamagedFile
        It cannot be read, or is larger than any face model.
    """
    try:
        return read_regular_file(path, max_bytes=MAX_BYTES)
    except FileNotFoundError as error:
        raise WrongUsage(f"Face model not found: {printable(path)}") from error
    except OSError as error:
        raise damaged(path, error.strerror or str(error)) from error


def damaged(path: Path, why: object) -> DamagedFile:
    """Return the error for a file that cannot be read."""
    reason = printable(" ".join(str(why).split()))[:160]
    return DamagedFile(f"{printable(path)} is damaged ({reason}). Export it again.")
