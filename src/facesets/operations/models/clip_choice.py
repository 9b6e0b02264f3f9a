"""Choose the CLIP pack for a library: that of its embeddings, else the default."""

from collections.abc import Sequence
from pathlib import Path

from facesets.errors import Command, Field, MissingModelPack, RecognizerMismatch, Sentence, WrongUsage
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
    "No CLIP pack is installed, so photos are not embedded and text search is not available. "
    f"Download one with {Command('models pull', DEFAULT_CLIP)}; to silence this, use "
    f"{Command('index', Field('skip_clip'))}, or set skip-clip = true under [index] in facesets.toml."
)


def pack_for_index(given: str | None, known: Sequence[ClipRow], roots: Sequence[Path]) -> ClipPack | None:
    """Choose the pack to embed with; None if none is named or installed.

    Raises
    ------
    MissingModelPack, DamagedFile
        The named pack is not installed; or the installed one cannot be used.
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
    """Describe that a pack differs from the one used so far; empty if it does not."""
    if not known or any(row.model.sha256 == pack.model.sha256 for row in known):
        return ""
    return (
        f"Photos were embedded with another CLIP model so far ({names(known)}). All will be embedded "
        f"again with {printable(pack.path)}."
    )


def pack_for_search(
    given: str | None, known: Sequence[ClipRow], roots: Sequence[Path], label: str
) -> tuple[ClipPack, ClipRow]:
    """Choose the pack to search with, and its model in the library.

    Raises
    ------
    WrongUsage
        No image has been embedded yet, or only by a service.
    MissingModelPack
        The pack of the embeddings is not installed.
    RecognizerMismatch
        The installed pack has another model than the embeddings.
    """
    require_embeddings(known, label)
    local = [row for row in known if service_clip(row.model) is None]
    if not local:
        raise WrongUsage(
            f"The photos of {label} were embedded by a machine-learning service ({names(known)}). "
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
        raise RecognizerMismatch(
            f"The CLIP pack {path} is not the model that embedded the photos of {label} "
            f"({names(local)}). Search with that model, or embed the photos again: "
            f"{Command('index', 'PHOTOS', Field('clip_pack', path))}."
        )
    if given is not None:
        find_clip(given, roots)
    name = local[0].model.name
    pull = Command("models pull", name)
    get = f"Run {pull}" if name in PUBLISHED_CLIP else "Copy it to your clip/ folder"
    raise MissingModelPack(
        f"The photos of {label} were embedded with the CLIP pack {printable(name)}, which is not "
        f"installed. {get}, or give its path with {Field('clip_pack', 'PATH')}."
    )


def row_of_service(model: ClipModel, known: Sequence[ClipRow], label: str) -> ClipRow:
    """Return the library's row of a service's model.

    Raises
    ------
    WrongUsage
        No image has been embedded yet.
    RecognizerMismatch
        No image was embedded by this model of the service.
    """
    require_embeddings(known, label)
    for row in known:
        if row.model.sha256 == model.sha256:
            return row
    raise RecognizerMismatch(
        f"The photos of {label} were embedded with {names(known)}, not with that model of a "
        f"machine-learning service. Search without {Field('ml_uri')}, or name the model with "
        f"{Field('clip_pack')}."
    )


def require_embeddings(known: Sequence[ClipRow], label: str) -> None:
    """Refuse to search if no photo is embedded. Raises `WrongUsage`."""
    if not known:
        raise WrongUsage(
            f"No photo of {label} is embedded yet. Run {Command('index', 'PHOTOS')}; if it reports a "
            f"missing CLIP pack, run {Command('models pull', DEFAULT_CLIP)} first."
        )


def names(known: Sequence[ClipRow]) -> str:
    """Format the names of models for a sentence."""
    return ", ".join(printable(row.model.name) for row in known)
