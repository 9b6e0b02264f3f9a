"""`models list | path | pull | verify`: model packs on this machine."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import FacesetsError, WrongUsage
from facesets.files import writing
from facesets.inference.catalog import LICENCE, PUBLISHED, PublishedPack
from facesets.inference.packs import ModelPack, find_pack, installed, pack_directories, read_pack, unpack
from facesets.interfaces import Progress
from facesets.remote.download import download
from facesets.stop import Stop


@dataclass(frozen=True, slots=True)
class PackLine:
    """A pack on this machine; `problem` is empty when it can be used."""

    name: str
    path: str
    tasks: tuple[str, ...]
    megabytes: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PackPath:
    """Where a pack lies, and for a pack that is yet to be fetched, from where."""

    name: str
    path: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class FileCheck:
    """A model file and whether it is the published one: `ok`, `differs`, or `unknown`."""

    file: str
    task: str
    sha256: str
    verdict: str


def list_packs(roots: Sequence[Path]) -> list[PackLine]:
    """Every pack below the roots."""
    lines = []
    for directory in installed(roots):
        size = sum(file.stat().st_size for file in directory.glob("*.onnx")) / 1e6
        try:
            tasks = tuple(sorted(read_pack(directory).models))
        except FacesetsError as error:
            lines.append(PackLine(directory.name, str(directory), (), size, str(error)))
        else:
            lines.append(PackLine(directory.name, str(directory), tasks, size))
    return lines


def would_pull(name: str, roots: Sequence[Path], *, force: bool = False) -> PackPath:
    """What `pull` would do. Raises `WrongUsage` as `pull`."""
    published = _published(name)
    there = _there(name, roots)
    if there and not force:
        return PackPath(name, str(there[0]))
    return PackPath(name, str(roots[0] / "models" / name), published.url)


def _published(name: str) -> PublishedPack:
    if name not in PUBLISHED:
        raise WrongUsage(f"No model pack {name} is published. Choose from: {', '.join(PUBLISHED)}.")
    return PUBLISHED[name]


def _there(name: str, roots: Sequence[Path]) -> list[Path]:
    return [d for d in pack_directories(name, roots) if d.is_dir() and any(d.glob("*.onnx"))]


def pull(
    name: str, roots: Sequence[Path], *, force: bool = False, progress: Progress, stop: Stop
) -> ModelPack:
    """Fetch a published pack into the first root, unless it is there.

    Raises
    ------
    WrongUsage
        No pack of that name is published.
    Unreachable, DamagedFile, CannotWrite
        It cannot be fetched, verified or stored.
    """
    published = _published(name)
    there = _there(name, roots)
    if there and not force:
        return read_pack(there[0])
    progress.say(LICENCE)
    destination = roots[0] / "models" / name
    with writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=destination.parent, prefix=".pull.")
    with folder as scratch:
        archive = Path(scratch) / f"{name}.zip"
        download(
            published.url,
            archive,
            size=published.size,
            sha256=published.sha256,
            progress=progress,
            stop=stop,
        )
        unpack(archive, destination)
    return read_pack(destination)


def verify(name: str, roots: Sequence[Path]) -> list[FileCheck]:
    """Compare each file of a pack with what was published. Raises as `find_pack`."""
    pack = find_pack(name, roots)
    known = PUBLISHED[pack.name].files if pack.name in PUBLISHED else {}
    checks = []
    for model in pack.models.values():
        expected = known.get(model.path.name)
        verdict = "unknown" if expected is None else "ok" if expected == model.sha256 else "differs"
        checks.append(FileCheck(model.path.name, model.task, model.sha256, verdict))
    return sorted(checks, key=lambda check: check.file)
