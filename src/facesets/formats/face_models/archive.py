"""A person as an `.npz` archive, for programs that read no other format.

| array | holds |
|---|---|
| `embeddings` | float32 (n, d), as the recognizer gives them |
| `mean` | float32 (d,), the mean of those |
| `names` | text (n,), the pictures that they come from, best first |
| `scores` | float32 (n,), the quality of each, in [0, 1] |
| `person` | text, the name |
| `recogniser`, `recogniser_sha256` | text, what the embeddings come from |
"""

from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from facesets.formats.face_models.face_model import (
    MAX_BYTES,
    FaceModel,
    ModelsRead,
    PersonRead,
    damaged,
    mean_of,
    read_model_bytes,
)
from facesets.formats.plain_npz import DAMAGE, read_columns
from facesets.records import CacheSettings, Float32

_CLOSE = 1e-4
"""Maximum cosine distance between the stored mean and that of the embeddings."""


def write_archive(file: IO[bytes], model: FaceModel, models: CacheSettings) -> None:
    """Write a person and the models of the embeddings; equal ones give equal bytes."""
    np.savez(
        file,
        allow_pickle=False,
        embeddings=model.embeddings,
        mean=model.mean,
        names=np.array([_sound(name) for name in model.files], np.str_),
        scores=model.scores.astype(np.float32),
        person=np.array(_sound(model.name)),
        recogniser=np.array(_sound(models.recognizer)),
        recogniser_sha256=np.array(models.recognizer_sha256),
    )


def read_archive(path: Path) -> ModelsRead:
    """Read a person.

    Raises
    ------
    WrongUsage
        There is no such file.
    DamagedFile
        It is no archive of plain arrays.
    """
    read_model_bytes(path)
    try:
        arrays = read_columns(path, max_bytes=4 * MAX_BYTES)
    except DAMAGE as error:
        raise damaged(path, error) from error
    problems = [
        f"{name} is missing" for name in ("embeddings", "mean", "names", "scores") if name not in arrays
    ]
    if problems:
        return ModelsRead([], 0, problems)
    embeddings, mean = arrays["embeddings"], arrays["mean"]
    problems = _problems(embeddings, mean, arrays)
    if problems:
        return ModelsRead([], 0, problems)
    unit = _unit(mean_of(embeddings))
    if float(_unit(mean) @ unit) < 1 - _CLOSE:
        problems.append("mean is not the mean of the embeddings")
    least = float((_unit(embeddings) @ unit).min())
    person = PersonRead(_text(arrays.get("person")), mean.astype(np.float32))
    return ModelsRead([person], len(embeddings), problems, round(least, 4))


def _problems(embeddings: NDArray[Any], mean: NDArray[Any], arrays: dict[str, NDArray[Any]]) -> list[str]:
    if embeddings.ndim != 2 or not embeddings.size or embeddings.dtype.kind != "f":
        return [
            (
                f"embeddings has dtype {embeddings.dtype} and shape {embeddings.shape}, not floating point "
                "(n, d)"
            )
        ]
    count, dimension = embeddings.shape
    problems = []
    if mean.shape != (dimension,) or mean.dtype.kind != "f":
        problems.append(
            f"mean has dtype {mean.dtype} and shape {mean.shape}, not floating point ({dimension},)"
        )
    elif not (np.isfinite(embeddings).all() and np.isfinite(mean).all()):
        problems.append("the embeddings contain NaN or infinity")
    elif not (_length(mean) > 1e-6).all() or not (_length(embeddings) > 1e-6).all():
        problems.append("an embedding is all zeros")
    if arrays["names"].shape != (count,) or arrays["names"].dtype.kind != "U":
        problems.append(f"names are not {count} strings")
    scores = arrays["scores"]
    if scores.shape != (count,) or scores.dtype.kind != "f" or not np.isfinite(scores).all():
        problems.append(f"scores are not {count} numbers")
    return problems


def _unit(vectors: NDArray[Any]) -> Float32:
    unit: Float32 = (vectors / np.maximum(_length(vectors), 1e-12)).astype(np.float32)
    return unit


def _length(vectors: NDArray[Any]) -> NDArray[np.float64]:
    length: NDArray[np.float64] = np.linalg.norm(vectors.astype(np.float64), axis=-1, keepdims=True)
    return length


def _text(array: NDArray[Any] | None) -> str:
    return str(array) if array is not None and array.shape == () and array.dtype.kind == "U" else ""


def _sound(text: str) -> str:
    """Remove from a text invalid characters, and an end that NumPy would cut."""
    return text.encode("utf-8", errors="replace").decode("utf-8").rstrip("\0")
