"""Save weights, optimizer and losses after every epoch, so that training survives interruption.

Each checkpoint is two files, `face_projection_epoch_<n>.safetensors` with the arrays and, written after it,
`face_projection_epoch_<n>.json` with the rest. Only the newest stays.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load, save

from facesets.file_system import patiently
from facesets.files import atomic_write, sync_directory, write_json, writing
from facesets.records import Float32

_NAME = "face_projection_epoch_{}"
_PATTERN = re.compile(r"face_projection_epoch_(\d+)\.(json|safetensors)")
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Epoch:
    """The result of one pass over all faces.

    Attributes
    ----------
    loss, validation_loss : float
        Mean triplet loss of the faces trained on, and of faces of the same people that were not.
    triplets : int
        That violated the margin.
    seconds : float
        That it took.
    """

    number: int
    loss: float
    validation_loss: float
    triplets: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of training: epochs done, and all arrays that the next one starts from."""

    epochs: tuple[Epoch, ...]
    arrays: Mapping[str, Float32]


def path_of(directory: Path, epoch: int) -> Path:
    """Return the path of a checkpoint's arrays."""
    return directory / f"{_NAME.format(epoch)}.safetensors"


def write_checkpoint(directory: Path, checkpoint: Checkpoint, training: str) -> None:
    """Save this checkpoint, and delete earlier ones.

    Parameters
    ----------
    training : str
        Digest of all that the training depends on.

    Raises
    ------
    CannotWrite
        The disk is full, or permission is missing.
    """
    last = checkpoint.epochs[-1]
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    path = path_of(directory, last.number)
    with atomic_write(path) as file:
        file.write(save(dict(checkpoint.arrays)))
    write_json(
        path.with_suffix(".json"),
        {
            "version": _VERSION,
            "training": training,
            "epoch": last.number,
            "loss": last.loss,
            "validation_loss": last.validation_loss,
            "seconds": round(sum(each.seconds for each in checkpoint.epochs), 3),
            "epochs": [asdict(each) for each in checkpoint.epochs],
        },
    )
    sync_directory(directory)
    for other in directory.iterdir():
        if _PATTERN.fullmatch(other.name) and other.stem != path.stem:
            with writing(other):
                patiently(os.unlink, other)


def newest_checkpoint(directory: Path, training: str) -> Checkpoint | None:
    """Return the checkpoint to resume from; damaged or unrelated ones are ignored."""
    if not directory.is_dir():
        return None
    numbers = {int(match[1]) for path in directory.iterdir() if (match := _PATTERN.fullmatch(path.name))}
    for number in sorted(numbers, reverse=True):
        path = path_of(directory, number)
        try:
            known = json.loads(path.with_suffix(".json").read_bytes())
            if (known["version"], known["training"]) != (_VERSION, training):
                continue
            epochs = tuple(Epoch(**each) for each in known["epochs"])
            return Checkpoint(epochs, load(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            continue
    return None
