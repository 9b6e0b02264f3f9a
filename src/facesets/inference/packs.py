"""Model packs: directories of ONNX files, in InsightFace's layout or described, found by name or path."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facesets.errors import Command, DamagedFile, FacesetsError, Field, MissingModelPack
from facesets.file_system import patiently, remove_tree
from facesets.files import printable, writing
from facesets.inference.body_models import PART as BODIES
from facesets.inference.catalog import CONVERTED, PUBLISHED
from facesets.inference.model_files import DETECTION, RECOGNITION, ModelFile, model_of_graph
from facesets.inference.pack_toml import read_description

DEFAULT_PACK = "buffalo_l"

MAX_UNPACKED_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class ModelPack:
    """A directory of ONNX files; at most one for each task."""

    name: str
    path: Path
    models: dict[str, ModelFile]
    note: str = ""

    @property
    def detector(self) -> ModelFile:
        """Return the model that finds faces."""
        return self.models[DETECTION]

    @property
    def recognizer(self) -> ModelFile:
        """Return the recognition model, which embeds an aligned face."""
        return self.models[RECOGNITION]


def pack_directories(name: str, roots: Sequence[Path], parts: Sequence[str] = ("models", ".")) -> list[Path]:
    """Return possible folders of a pack: the name as a path, then below each root."""
    direct = Path(name).expanduser()
    named = [root / part / name for root in roots for part in parts]
    is_path = name.startswith((".", "~")) or "/" in name or os.sep in name
    return [direct, *named] if is_path else named


def installed(roots: Sequence[Path]) -> list[Path]:
    """Return every directory below the roots with a pack's ONNX files, in order of preference."""
    below = directories_below(roots, ("models", "."))
    return [d for d in below if d.name != BODIES and any(d.glob("*.onnx"))]


def directories_below(roots: Sequence[Path], parts: Sequence[str]) -> list[Path]:
    """Return the directories in parts of the roots, in order of preference, each once."""
    below = [d for root in roots for part in parts for d in sorted((root / part).glob("*/"))]
    # Two roots may contain the same directory; its name is that under the first root.
    unique = {directory.resolve(): directory.absolute() for directory in reversed(below)}
    return list(reversed(unique.values()))


def usual_pack(named: str, roots: Sequence[Path]) -> str:
    """Return the default pack for new stores.

    It is the one that settings name, else the default one, else the open one if that alone is here, as where
    `run` could have nothing else; else the default one, which can be fetched. Others are taken where they
    are named: other programs leave packs behind, too.
    """
    usable = (name for name in (DEFAULT_PACK, *CONVERTED) if not named and _is_usable(name, roots))
    return named or next(usable, DEFAULT_PACK)


def _is_usable(name: str, roots: Sequence[Path]) -> bool:
    places = [d for d in pack_directories(name, roots) if d.is_dir() and any(d.glob("*.onnx"))]
    if not places or name == DEFAULT_PACK:
        # Errors of the default pack are reported where it is loaded.
        return bool(places)
    try:
        read_pack(places[0])
    except FacesetsError:
        return False
    return True


def find_pack(name: str, roots: Sequence[Path]) -> ModelPack:
    """Look up a pack by path or by name.

    Raises
    ------
    MissingModelPack
        The pack is missing; with how to get it, and the other packs.
    DamagedFile
        The directory holds no usable detector or recognizer.
    """
    for directory in pack_directories(name, roots):
        if directory.is_dir() and any(directory.glob("*.onnx")):
            return read_pack(directory.absolute())
    others = installed(roots)
    elsewhere = Field("pack", printable(others[0]) if others else "PATH")
    is_published = name in PUBLISHED or name in CONVERTED
    fetch = f"Run {Command('models pull', name)}, or use" if is_published else "Use"
    raise MissingModelPack(f"{_missing(name, roots)} {fetch} one that is here: {elsewhere}.")


def _missing(name: str, roots: Sequence[Path]) -> str:
    """Describe what is missing: a folder, or its content."""
    empty = next((d for d in pack_directories(name, roots) if d.is_dir()), None)
    if empty is None:
        return f"The model pack {printable(name)} is not installed."
    deeper = next((each.parent for each in sorted(empty.glob("*/*.onnx"))), None)
    inside = f" Its subfolder {printable(deeper.name)} does." if deeper else ""
    return (
        f"The folder {printable(empty)} holds no models.{inside} A model pack is a folder with the "
        "ONNX files of a detector and a recognition model."
    )


def read_pack(directory: Path) -> ModelPack:
    """Read the task of each ONNX file of a directory, from its `pack.toml`, else from the graphs.

    Raises
    ------
    DamagedFile
        A file is no ONNX model, the description is wrong, or the detector or the recognizer is missing.
    """
    described = read_description(directory)
    models = dict(described.models)
    spoken_for = {model.path for model in models.values()}
    for path in sorted(directory.glob("*.onnx")):
        # The first file of a task counts.
        model = None if path in spoken_for else model_of_graph(path)
        if model is not None:
            models.setdefault(model.task, model)
    for task in (DETECTION, RECOGNITION):
        if task not in models:
            raise DamagedFile(
                f"The model pack {printable(directory)} has no {task} model. Download it again with "
                f"{Command('models pull', directory.name, Field('force'))}."
            )
    return ModelPack(directory.name, directory, models, described.note)


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
                raise DamagedFile(
                    f"{printable(archive.name)} contains no model pack. Try the download again."
                )
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
    """Replace a directory by a complete one."""
    if destination.exists():
        remove_tree(destination)
    patiently(os.replace, fresh, destination)
