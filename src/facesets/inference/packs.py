"""Model packs: directories of ONNX files in InsightFace's layout, found by name or path.

A file's task is read off its graph, by the rules of insightface's model zoo: whatever loads there
loads here and means the same.
"""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import onnx
from google.protobuf.message import DecodeError

from facesets.errors import DamagedFile, MissingModelPack
from facesets.files import printable, sha256_of, writing
from facesets.inference.catalog import PUBLISHED

DEFAULT_PACK = "buffalo_l"

DETECTION = "detection"
RECOGNITION = "recognition"
LANDMARK_2D_106 = "landmark_2d_106"
LANDMARK_3D_68 = "landmark_3d_68"
GENDERAGE = "genderage"

MAX_UNPACKED_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One ONNX file of a pack and what it is for.

    `input_mean` and `input_std` normalise pixels in [0, 255]: older networks carry that in the graph
    and have 0 and 1 here.
    """

    path: Path
    task: str
    input_size: int | None
    input_mean: float
    input_std: float

    @property
    def sha256(self) -> str:
        """Hex digest of the file, which is the model's identity."""
        return _sha256_cached(self.path)


@cache
def _sha256_cached(path: Path) -> str:
    return sha256_of(path)


@dataclass(frozen=True, slots=True)
class ModelPack:
    """A directory of ONNX files; at most one for each task."""

    name: str
    path: Path
    models: dict[str, ModelFile]

    @property
    def detector(self) -> ModelFile:
        """The model that finds faces."""
        return self.models[DETECTION]

    @property
    def recogniser(self) -> ModelFile:
        """The model that turns an aligned face into an embedding."""
        return self.models[RECOGNITION]


def pack_directories(name: str, roots: Sequence[Path], parts: Sequence[str] = ("models", ".")) -> list[Path]:
    """Where a pack of that name may lie: the name as a path, then below parts of each root."""
    direct = Path(name).expanduser()
    named = [root / part / name for root in roots for part in parts]
    is_path = name.startswith((".", "~")) or "/" in name or os.sep in name
    return [direct, *named] if is_path else named


def installed(roots: Sequence[Path]) -> list[Path]:
    """Every directory below the roots that holds ONNX files, in order of preference."""
    return [d for d in directories_below(roots, ("models", ".")) if any(d.glob("*.onnx"))]


def directories_below(roots: Sequence[Path], parts: Sequence[str]) -> list[Path]:
    """The directories in parts of the roots, in order of preference, each once."""
    below = [d for root in roots for part in parts for d in sorted((root / part).glob("*/"))]
    # The same directory may be reached through two roots; its name is the one it was reached by first.
    unique = {directory.resolve(): directory.absolute() for directory in reversed(below)}
    return list(reversed(unique.values()))


def find_pack(name: str, roots: Sequence[Path]) -> ModelPack:
    """Look up a pack by path or by name.

    Raises
    ------
    MissingModelPack
        There is none; the sentence says how to get it and which other packs are there.
    DamagedFile
        The directory holds no usable detector or recogniser.
    """
    for directory in pack_directories(name, roots):
        if directory.is_dir() and any(directory.glob("*.onnx")):
            return read_pack(directory.absolute())
    others = installed(roots)
    elsewhere = f"--pack {printable(others[0])}" if others else "--pack PATH"
    fetch = f"Run `facesets models pull {name}`, or use" if name in PUBLISHED else "Use"
    raise MissingModelPack(
        f"The model pack {printable(name)} is not on this machine. {fetch} one that is here: {elsewhere}."
    )


def read_pack(directory: Path) -> ModelPack:
    """Read what each ONNX file of a directory is for; the first file of a task counts.

    Raises
    ------
    DamagedFile
        A file is no ONNX model, or the detector or the recogniser is missing.
    """
    models: dict[str, ModelFile] = {}
    for path in sorted(directory.glob("*.onnx")):
        model = _describe(path)
        if model is not None:
            models.setdefault(model.task, model)
    for task in (DETECTION, RECOGNITION):
        if task not in models:
            raise DamagedFile(
                f"The model pack {printable(directory)} has no {task} model. Fetch it again: "
                f"`facesets models pull {directory.name} --force`."
            )
    return ModelPack(directory.name, directory, models)


def _describe(path: Path) -> ModelFile | None:
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except (OSError, DecodeError) as error:
        raise _damaged(path) from error
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    if not inputs:
        return None
    height, width = ([*_dimensions(inputs[0]), 0, 0, 0, 0])[2:4]
    outputs = list(graph.output)
    if len(outputs) >= 5:
        return ModelFile(path, DETECTION, None, 127.5, 128.0)
    if height != width:
        return None
    task = _task(height, outputs)
    if task is None:
        return None
    names = [node.name for node in graph.node[:8]]
    normalises = any(n.startswith(("Sub", "_minus")) for n in names) and any(
        n.startswith(("Mul", "_mul")) for n in names
    )
    if task != RECOGNITION:
        normalises = normalises or "bn_data" in names[:3]
    mean, std = (0.0, 1.0) if normalises else (127.5, 127.5 if task == RECOGNITION else 128.0)
    return ModelFile(path, task, height, mean, std)


def _damaged(path: Path) -> DamagedFile:
    return DamagedFile(
        f"{printable(path)} is not an ONNX model. Fetch the pack again: "
        f"`facesets models pull {path.parent.name} --force`."
    )


def _dimensions(value: onnx.ValueInfoProto) -> list[int]:
    return [int(d.dim_value) for d in value.type.tensor_type.shape.dim]


def _task(edge: int, outputs: Sequence[onnx.ValueInfoProto]) -> str | None:
    if edge == 192:
        return LANDMARK_3D_68 if _dimensions(outputs[0])[-1] == 3309 else LANDMARK_2D_106
    if edge == 96:
        return GENDERAGE
    return RECOGNITION if edge >= 112 and edge % 16 == 0 else None


def unpack(archive: Path, destination: Path) -> None:
    """Unpack a pack's zip so that the directory appears complete or not at all.

    Only `.onnx` files are taken, flat, whatever folders the archive puts them in.

    Raises
    ------
    DamagedFile
        The archive is no zip, holds no model, or is larger than a pack can be.
    """
    try:
        with zipfile.ZipFile(archive) as bundle, writing(destination):
            members = [m for m in bundle.infolist() if m.filename.endswith(".onnx") and not m.is_dir()]
            if not members or sum(m.file_size for m in members) > MAX_UNPACKED_BYTES:
                raise DamagedFile(f"{printable(archive.name)} holds no model pack. Try the download again.")
            destination.parent.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(dir=destination.parent, prefix=f".{destination.name}."))
            try:
                for member in members:
                    with bundle.open(member) as source:
                        target = fresh / PurePosixPath(member.filename.replace("\\", "/")).name
                        with target.open("xb") as file:
                            shutil.copyfileobj(source, file, 1 << 20)
                fresh.chmod(0o755)
                replace_by(fresh, destination)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    except zipfile.BadZipFile as error:
        raise DamagedFile(f"{printable(archive.name)} is not a zip file. Try the download again.") from error


def replace_by(fresh: Path, destination: Path) -> None:
    """Put a complete directory in the place of another, or of none."""
    if destination.exists():
        shutil.rmtree(destination)
    fresh.replace(destination)
