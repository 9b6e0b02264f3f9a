"""`models list | path | pull | verify`: model packs on this machine."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import FacesetsError, WrongUsage
from facesets.files import sha256_of, writing
from facesets.inference.catalog import LICENCE, PUBLISHED, PUBLISHED_CLIP, PublishedClip, PublishedPack
from facesets.inference.clip_packs import (
    PART,
    ClipPack,
    clip_directories,
    find_clip,
    installed_clip,
    is_clip,
    read_clip,
)
from facesets.inference.packs import find_pack, installed, pack_directories, read_pack, replace_by, unpack
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
    """Every pack below the roots, those of faces first."""
    faces = [_line(directory, [*directory.glob("*.onnx")], _face_tasks) for directory in installed(roots)]
    clip = [_line(directory, [*directory.glob("*/*")], _clip_tasks) for directory in installed_clip(roots)]
    return faces + clip


def _line(directory: Path, files: Sequence[Path], tasks: Callable[[Path], tuple[str, ...]]) -> PackLine:
    size = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    try:
        return PackLine(directory.name, str(directory), tasks(directory), size)
    except FacesetsError as error:
        return PackLine(directory.name, str(directory), (), size, str(error))


def _face_tasks(directory: Path) -> tuple[str, ...]:
    return tuple(sorted(read_pack(directory).models))


def _clip_tasks(directory: Path) -> tuple[str, ...]:
    return ("clip textual", "clip visual") if read_clip(directory).knows_texts else ("clip visual",)


def find(name: str, roots: Sequence[Path]) -> PackPath:
    """Where a pack of faces or of CLIP lies.

    Raises
    ------
    MissingModelPack, DamagedFile
        There is none, or it cannot be used.
    """
    pack = find_clip(name, roots) if _is_clip(name, roots) else find_pack(name, roots)
    return PackPath(pack.name, str(pack.path))


def _is_clip(name: str, roots: Sequence[Path]) -> bool:
    return name in PUBLISHED_CLIP or any(is_clip(directory) for directory in clip_directories(name, roots))


def would_pull(name: str, roots: Sequence[Path], *, force: bool = False) -> PackPath:
    """What `pull` would do. Raises `WrongUsage` as `pull`."""
    published = _published(name)
    there = _there(name, roots)
    if there and not force:
        return PackPath(name, str(there[0]))
    return PackPath(name, str(_destination(published, roots)), published.url)


def _published(name: str) -> PublishedPack | PublishedClip:
    known: dict[str, PublishedPack | PublishedClip] = {**PUBLISHED, **PUBLISHED_CLIP}
    if name not in known:
        raise WrongUsage(f"No model pack {name} is published. Choose from: {', '.join(known)}.")
    return known[name]


def _destination(published: PublishedPack | PublishedClip, roots: Sequence[Path]) -> Path:
    part = PART if isinstance(published, PublishedClip) else "models"
    return roots[0] / part / published.name


def _there(name: str, roots: Sequence[Path]) -> list[Path]:
    if name in PUBLISHED_CLIP:
        return [d for d in clip_directories(name, roots) if is_clip(d)]
    return [d for d in pack_directories(name, roots) if d.is_dir() and any(d.glob("*.onnx"))]


def pull(
    name: str, roots: Sequence[Path], *, force: bool = False, progress: Progress, stop: Stop
) -> PackPath:
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
        return find(str(there[0]), roots)
    destination = _destination(published, roots)
    progress.say(published.licence if isinstance(published, PublishedClip) else LICENCE)
    with writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=destination.parent, prefix=".pull.")
    with folder as scratch:
        if isinstance(published, PublishedClip):
            _pull_clip(published, Path(scratch) / name, destination, progress=progress, stop=stop)
        else:
            _pull_faces(published, Path(scratch) / f"{name}.zip", destination, progress=progress, stop=stop)
    return find(str(destination), roots)


def _pull_faces(
    published: PublishedPack, archive: Path, destination: Path, *, progress: Progress, stop: Stop
) -> None:
    size, sha256 = published.size, published.sha256
    download(published.url, archive, size=size, sha256=sha256, progress=progress, stop=stop)
    unpack(archive, destination)


def _pull_clip(
    published: PublishedClip, fresh: Path, destination: Path, *, progress: Progress, stop: Stop
) -> None:
    """Fetch file by file; the pack gets its name when all are there."""
    for name, sha256 in published.sha256.items():
        download(f"{published.url}/{name}", fresh / name, sha256=sha256, progress=progress, stop=stop)
    read_clip(fresh)
    with writing(destination):
        replace_by(fresh, destination)


def verify(name: str, roots: Sequence[Path]) -> list[FileCheck]:
    """Compare each file of a pack with what was published. Raises as `find`."""
    if _is_clip(name, roots):
        return _verify_clip(find_clip(name, roots))
    pack = find_pack(name, roots)
    known = PUBLISHED[pack.name].files if pack.name in PUBLISHED else {}
    checks = [
        FileCheck(
            model.path.name, model.task, model.sha256, _verdict(known.get(model.path.name), model.sha256)
        )
        for model in pack.models.values()
    ]
    return sorted(checks, key=lambda check: check.file)


def _verify_clip(pack: ClipPack) -> list[FileCheck]:
    known = PUBLISHED_CLIP[pack.name].sha256 if pack.name in PUBLISHED_CLIP else {}
    checks = []
    for file in pack.files():
        sha256 = sha256_of(pack.path / file)
        task = f"clip {file.partition('/')[0]}" if "/" in file else "clip"
        checks.append(FileCheck(file, task, sha256, _verdict(known.get(file), sha256)))
    return checks


def _verdict(expected: str | None, sha256: str) -> str:
    return "unknown" if expected is None else "ok" if expected == sha256 else "differs"
