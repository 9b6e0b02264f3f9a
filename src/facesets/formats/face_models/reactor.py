"""ReActor's face models: `.safetensors` files with InsightFace's attributes of one face.

A blended model, which is written here, is the first face with the mean of all embeddings in place of its own.
The swapper uses the embedding alone.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from facesets.files import printable
from facesets.formats.face_models.face_model import (
    DIMENSION,
    LEAD_COLUMNS,
    FaceModel,
    ModelsRead,
    PersonRead,
    damaged,
    embedding_problem,
    read_model_bytes,
)

_SHAPES: dict[str, tuple[int, ...]] = {
    "bbox": (4,),
    "kps": (5, 2),
    "det_score": (),
    "landmark_3d_68": (68, 3),
    "pose": (3,),
    "landmark_2d_106": (106, 2),
    "embedding": (DIMENSION,),
    "gender": (),
    "age": (),
}


def reactor_bytes(model: FaceModel) -> bytes:
    """Return the file of a person whose `lead` has all `LEAD_COLUMNS`."""
    lead = model.lead
    if lead is None or any(getattr(lead, name) is None for name in LEAD_COLUMNS):
        raise ValueError("the first face of a model lacks landmarks, pose, age or sex")
    columns: dict[str, NDArray[Any]] = {name: column[0] for name, column in lead.columns().items()}
    tensors = {
        "bbox": columns["box"],
        "gender": np.array(columns["male"] >= 0.5, np.int64),
        "age": np.array(round(float(columns["age"])), np.int64),
        "embedding": model.mean,
        **{name: columns[name] for name in _SHAPES if name in columns and name not in ("embedding", "age")},
    }
    content: bytes = save(
        {name: np.ascontiguousarray(tensors[name]).reshape(_SHAPES[name]) for name in _SHAPES}
    )
    return content


def read_reactor(path: Path) -> ModelsRead:
    """Read a model as ReActor does: every tensor, as an attribute of a face.

    Raises
    ------
    WrongUsage
        There is no such file.
    DamagedFile
        It is not in the safetensors format.
    """
    content = read_model_bytes(path)
    try:
        tensors: dict[str, NDArray[Any]] = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise damaged(path, error) from error
    problems = [problem for name in _SHAPES if (problem := _problem(name, tensors.get(name)))]
    problems += [
        f"{printable(name)[:60]} is not a field of ReActor's format"
        for name in sorted(set(tensors) - set(_SHAPES))[:5]
    ]
    embedding = tensors.get("embedding")
    if embedding is None or _problem("embedding", embedding):
        return ModelsRead([], 0, problems)
    return ModelsRead([PersonRead("", embedding.astype(np.float32))], 1, problems)


def _problem(name: str, tensor: NDArray[Any] | None) -> str:
    """Return what is wrong with a tensor, as a sentence; empty if nothing is."""
    if tensor is None:
        return f"{name} is missing"
    whole = name in ("gender", "age")
    if tensor.dtype.kind not in ("iu" if whole else "f"):
        return f"{name} has type {tensor.dtype}, not {'integer' if whole else 'floating point'}"
    if tensor.shape != _SHAPES[name]:
        return f"{name} has shape {tensor.shape}, not {_SHAPES[name]}"
    if name == "embedding":
        wrong = embedding_problem(tensor)
        return f"{name} {wrong}" if wrong else ""
    if not np.isfinite(tensor).all():
        return f"{name} contains NaN or infinity"
    if name == "gender" and int(tensor) not in (0, 1):
        return f"gender is {int(tensor)}, not 0 for a woman or 1 for a man"
    return ""
