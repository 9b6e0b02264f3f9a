"""Determine task and input format of a pack's ONNX file.

Without a `pack.toml` both follow from the graph, by the rules of insightface's model zoo: models that load
there load here with the same meaning.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from facesets.errors import Command, DamagedFile, Field
from facesets.files import printable, sha256_of
from facesets.records import Float32

DETECTION = "detection"
RECOGNITION = "recognition"
LANDMARK_2D_106 = "landmark_2d_106"
LANDMARK_3D_68 = "landmark_3d_68"
GENDERAGE = "genderage"
MIVOLO = "mivolo"
TASKS = (DETECTION, RECOGNITION, LANDMARK_2D_106, LANDMARK_3D_68, GENDERAGE, MIVOLO)

SCRFD = "scrfd"
CENTERFACE = "centerface"
DECODERS = (SCRFD, CENTERFACE)

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
MIVOLO_AGES = (1.0, 95.0)
"""Range of ages on which MiVOLO's published weights were trained."""

Triple = tuple[float, float, float]
Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One ONNX file of a pack and its task.

    Attributes
    ----------
    input_mean, input_std : float or three floats
        They normalize pixels in [0, 255], of all channels or of red, green and blue: older networks carry
        that in the graph and have 0 and 1 here.
    keypoints : five points, optional
        Where a face's keypoints belong in the input; None means ArcFace's places, scaled to its size.
    decoder : str
        What a detector's outputs mean, one of `DECODERS`.
    bgr : bool
        Whether the channels come in the order blue, green, red.
    ages : two floats
        `MIVOLO`: the ages that are half of its output's unit below and above zero.
    fed : str
        Settings above that the pack gives and that differ from the graph's. They change embeddings.
    licence, source : str
        The pack's note on the file.
    """

    path: Path
    task: str
    input_size: int | None
    input_mean: float | Triple
    input_std: float | Triple
    keypoints: Points | None = None
    decoder: str = SCRFD
    bgr: bool = False
    ages: tuple[float, float] = MIVOLO_AGES
    fed: str = ""
    licence: str = ""
    source: str = ""

    @property
    def sha256(self) -> str:
        """Return the model's identity: the file's hex digest, and a non-default input format."""
        digest = self.file_sha256
        return hashlib.sha256(f"{digest} {self.fed}".encode()).hexdigest() if self.fed else digest

    @property
    def file_sha256(self) -> str:
        """Return the hex digest of the file alone."""
        return _sha256_cached(self.path)

    def levels(self) -> Float32:
        """Return the input value for each pixel value, (3, 256), in the network's order of channels."""
        mean, std = (np.broadcast_to(np.asarray(v, np.float32), 3) for v in (self.input_mean, self.input_std))
        levels = (np.arange(256, dtype=np.float32) - mean[:, None]) / std[:, None]
        return np.ascontiguousarray(levels[::-1] if self.bgr else levels, np.float32)


@cache
def _sha256_cached(path: Path) -> str:
    return sha256_of(path)


def model_of_graph(path: Path) -> ModelFile | None:
    """Determine a file's task from its graph; None if unknown.

    Raises
    ------
    DamagedFile
        The file is not an ONNX model.
    """
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except (OSError, DecodeError) as error:
        raise _damaged(path) from error
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if not inputs:
        return None
    channels, height, width = ([*_dimensions(inputs[0]), 0, 0, 0, 0])[1:4]
    outputs = list(graph.output)
    if len(outputs) >= 5:
        return ModelFile(path, DETECTION, None, 127.5, 128.0)
    if height != width:
        return None
    if channels == 6:
        return ModelFile(path, MIVOLO, height, IMAGENET_MEAN, IMAGENET_STD)
    task = _task(height, outputs)
    if task is None:
        return None
    names = [node.name for node in graph.node[:8]]
    normalizes = any(n.startswith(("Sub", "_minus")) for n in names) and any(
        n.startswith(("Mul", "_mul")) for n in names
    )
    if task != RECOGNITION:
        normalizes = normalizes or "bn_data" in names[:3]
    mean, std = (0.0, 1.0) if normalizes else (127.5, 127.5 if task == RECOGNITION else 128.0)
    return ModelFile(path, task, height, mean, std)


def _damaged(path: Path) -> DamagedFile:
    return DamagedFile(
        f"{printable(path)} is not an ONNX model. Download the pack again with "
        f"{Command('models pull', path.parent.name, Field('force'))}."
    )


def _dimensions(value: onnx.ValueInfoProto) -> list[int]:
    return [int(d.dim_value) for d in value.type.tensor_type.shape.dim]


def _task(edge: int, outputs: Sequence[onnx.ValueInfoProto]) -> str | None:
    if edge == 192:
        return LANDMARK_3D_68 if _dimensions(outputs[0])[-1] == 3309 else LANDMARK_2D_106
    if edge == 96:
        return GENDERAGE if _dimensions(outputs[0])[-1:] in ([], [0], [3]) else None
    return RECOGNITION if edge >= 112 and edge % 16 == 0 else None
