"""`models list | show | path | verify`: model packs on this machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facesets.errors import Command, FacesetsError, MissingModelPack
from facesets.files import sha256_of
from facesets.inference.body_models import body_models
from facesets.inference.catalog import (
    CONVERTED,
    LICENCE,
    PUBLISHED,
    PUBLISHED_BODY,
    PUBLISHED_CLIP,
    ConvertedPack,
    PublishedPack,
)
from facesets.inference.clip_packs import (
    ClipPack,
    clip_directories,
    find_clip,
    installed_clip,
    is_clip,
    read_clip,
)
from facesets.inference.model_files import DETECTION, Points, Triple
from facesets.inference.packs import find_pack, installed, read_pack


@dataclass(frozen=True, slots=True)
class PackLine:
    """An installed pack; `problem` is empty if it can be used, `note` is information about it."""

    name: str
    path: str
    tasks: tuple[str, ...]
    megabytes: float
    problem: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class PackPath:
    """The location of a pack; `note` is information about it.

    For a pack that is not fetched yet, also its source, its license and, if known, its checksums.
    """

    name: str
    path: str
    url: str = ""
    note: str = ""
    licence: str = ""
    digests: str = ""


@dataclass(frozen=True, slots=True)
class FileDetails:
    """A model file: its task, its input, and its source.

    Attributes
    ----------
    sha256 : str
        Digest of the file, to compare with the published one.
    identity : str
        The model's id in caches and manifests: the digest, combined with the preprocessing in `pack.toml`.
    """

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
    identity: str


@dataclass(frozen=True, slots=True)
class PackDetails:
    """A face model pack; `note` is information for choosing it."""

    name: str
    path: str
    note: str
    files: list[FileDetails]


@dataclass(frozen=True, slots=True)
class FileCheck:
    """A model file, and whether it matches the published one: `ok`, `differs`, or `unknown`."""

    file: str
    task: str
    sha256: str
    verdict: str


def list_packs(roots: Sequence[Path]) -> list[PackLine]:
    """List every pack below the roots, face packs first, and every body model."""
    faces = [_line(directory, [*directory.glob("*.onnx")], _face_tasks) for directory in installed(roots)]
    clip = [_line(directory, [*directory.glob("*/*")], _clip_tasks) for directory in installed_clip(roots)]
    return faces + clip + [_body_line(path) for path in body_models(roots)]


def _body_line(path: Path) -> PackLine:
    from facesets.inference.bodies import BodyDetector

    size = path.stat().st_size / 1e6
    try:
        finds = ("bodies", "faces") if BodyDetector(path).knows_faces else ("bodies",)
        return PackLine(path.stem, str(path), finds, size)
    except FacesetsError as error:
        return PackLine(path.stem, str(path), (), size, error.sentence)


def _line(
    directory: Path, files: Sequence[Path], read: Callable[[Path], tuple[tuple[str, ...], str]]
) -> PackLine:
    size = sum(file.stat().st_size for file in files if file.is_file()) / 1e6
    try:
        tasks, note = read(directory)
        return PackLine(directory.name, str(directory), tasks, size, note=note)
    except FacesetsError as error:
        return PackLine(directory.name, str(directory), (), size, error.sentence)


def _face_tasks(directory: Path) -> tuple[tuple[str, ...], str]:
    pack = read_pack(directory)
    return tuple(sorted(pack.models)), pack.note


def _clip_tasks(directory: Path) -> tuple[tuple[str, ...], str]:
    texts = read_clip(directory).knows_texts
    return ("clip textual", "clip visual") if texts else ("clip visual",), ""


def describe_pack(name: str, roots: Sequence[Path]) -> PackDetails:
    """Describe the files of a face model pack. Raises as `find`."""
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
            identity=model.sha256,
        )
        for task, model in sorted(pack.models.items())
    ]
    return PackDetails(pack.name, str(pack.path), pack.note, files)


def find(name: str, roots: Sequence[Path]) -> PackPath:
    """Find a face pack, a CLIP pack or a body model.

    Raises
    ------
    MissingModelPack, DamagedFile
        The pack does not exist, or cannot be used.
    """
    if _is_clip(name, roots):
        clip = find_clip(name, roots)
        return PackPath(clip.name, str(clip.path))
    if (body := _body(name, roots)) is not None:
        return PackPath(body.stem, str(body))
    pack = find_pack(name, roots)
    return PackPath(pack.name, str(pack.path), note=pack.note)


def _body(name: str, roots: Sequence[Path]) -> Path | None:
    """Find a body model by name or path; `MissingModelPack` if a published one is not installed."""
    found = [path for path in body_models(roots) if name in (path.stem, str(path))]
    if not found and name in PUBLISHED_BODY:
        raise MissingModelPack(f"The body model {name} is not installed. Run {Command('models pull', name)}.")
    return next(iter(found), None)


def _is_clip(name: str, roots: Sequence[Path]) -> bool:
    return name in PUBLISHED_CLIP or any(is_clip(directory) for directory in clip_directories(name, roots))


def verify(name: str, roots: Sequence[Path]) -> list[FileCheck]:
    """Compare each file of a pack with the published one. Raises as `find`."""
    if _is_clip(name, roots):
        return _verify_clip(find_clip(name, roots))
    if (body := _body(name, roots)) is not None:
        sha256, published_body = sha256_of(body), PUBLISHED_BODY.get(body.stem)
        verdict = _verdict(None if published_body is None else published_body.sha256, sha256)
        return [FileCheck(body.name, "bodies", sha256, verdict)]
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
