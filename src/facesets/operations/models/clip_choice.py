"""Which CLIP pack goes with a library: the one that its embeddings came from, else the default one."""

from collections.abc import Sequence
from pathlib import Path

from facesets.errors import Command, Field, MissingModelPack, RecogniserMismatch, Sentence, WrongUsage
from facesets.files import printable
from facesets.inference.catalog import DEFAULT_CLIP, PUBLISHED_CLIP
from facesets.inference.clip_packs import (
    ClipPack,
    clip_directories,
    default_clip,
    find_clip,
    is_clip,
    read_clip,
)
from facesets.library_records import ClipRow
from facesets.records import ClipModel
from facesets.remote.service_embedder import service_clip

NO_PACK = Sentence(
    "There is no CLIP pack on this machine, so images get no embedding and `search` finds none by words. "
    f"{Command('models pull', DEFAULT_CLIP)} fetches one; {Command('index', Field('skip_clip'))}, or "
    "skip-clip = true below [index] in facesets.toml, silences this."
)


def pack_for_index(given: str | None, known: Sequence[ClipRow], roots: Sequence[Path]) -> ClipPack | None:
    """The pack to embed with; None when none is named and none is here.

    Raises
    ------
    MissingModelPack, DamagedFile
        The one that is named is not here; or the one that is here cannot be used.
    """
    if given is not None:
        return find_clip(given, roots)
    for row in known:
        for pack in _called(row.model.name, roots):
            if pack.model.sha256 == row.model.sha256:
                return pack
    return default_clip(roots)


def _called(name: str, roots: Sequence[Path]) -> list[ClipPack]:
    return [read_clip(d.absolute()) for d in clip_directories(name, roots) if is_clip(d)]


def another_model(pack: ClipPack, known: Sequence[ClipRow]) -> str:
    """What to say where a pack is not the one that embedded images so far; empty where it is."""
    if not known or any(row.model.sha256 == pack.model.sha256 for row in known):
        return ""
    return (
        f"So far images were embedded by another CLIP model ({names(known)}): all of them are embedded again "
        f"by {printable(pack.path)}, and the two are never compared."
    )


def pack_for_search(
    given: str | None, known: Sequence[ClipRow], roots: Sequence[Path], label: str
) -> tuple[ClipPack, ClipRow]:
    """The pack to search with, and the model of the library that it is.

    Raises
    ------
    WrongUsage
        No image was embedded yet, or only by a service.
    MissingModelPack
        The pack that the embeddings came from is not here.
    RecogniserMismatch
        The pack that is here is another model than those that the embeddings came from.
    """
    require_embeddings(known, label)
    local = [row for row in known if service_clip(row.model) is None]
    if not local:
        raise WrongUsage(
            f"The images of {label} were embedded by a machine-learning service ({names(known)}). "
            f"Search with its address: {Field('ml_uri', 'URL')}."
        )
    wanted = {row.model.sha256: row for row in reversed(local)}
    named = [given] if given is not None else [row.model.name for row in local]
    found = [pack for name in named for pack in _called(name, roots)]
    for pack in found:
        if pack.model.sha256 in wanted:
            return pack, wanted[pack.model.sha256]
    if found:
        path = printable(found[0].path)
        raise RecogniserMismatch(
            f"The CLIP pack {path} is not the model that the images of {label} were embedded by "
            f"({names(local)}). Search with that one, or embed the images again: "
            f"{Command('index', 'PHOTOS', Field('clip_pack', path))}."
        )
    if given is not None:
        find_clip(given, roots)
    name = local[0].model.name
    pull = Command("models pull", name)
    get = f"Run {pull}" if name in PUBLISHED_CLIP else "Copy it into your clip/ folder"
    raise MissingModelPack(
        f"The images of {label} were embedded by the CLIP pack {printable(name)}, which is not on this "
        f"machine. {get}, or name it with {Field('clip_pack', 'PATH')}."
    )


def row_of_service(model: ClipModel, known: Sequence[ClipRow], label: str) -> ClipRow:
    """The model of the library that a service's is.

    Raises
    ------
    WrongUsage
        No image was embedded yet.
    RecogniserMismatch
        No image was embedded by that model of a service.
    """
    require_embeddings(known, label)
    for row in known:
        if row.model.sha256 == model.sha256:
            return row
    raise RecogniserMismatch(
        f"No image of {label} was embedded by that model of a machine-learning service, but by "
        f"{names(known)}. Search without {Field('ml_uri')}, or name the model with {Field('clip_pack')}."
    )


def require_embeddings(known: Sequence[ClipRow], label: str) -> None:
    """Refuse to search where no image was embedded. Raises `WrongUsage`."""
    if not known:
        raise WrongUsage(
            f"No image of {label} has an embedding yet. Run {Command('index', 'PHOTOS')}; "
            f"if it misses a CLIP pack, {Command('models pull', DEFAULT_CLIP)} fetches one."
        )


def names(known: Sequence[ClipRow]) -> str:
    """The names of models, for a sentence."""
    return ", ".join(printable(row.model.name) for row in known)
