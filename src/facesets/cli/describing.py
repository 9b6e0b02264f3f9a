"""From flags to what describes pictures: faces, CLIP, or both, here or at a service."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.once import say_once
from facesets.errors import WrongUsage
from facesets.operations.options.library import IndexOptions
from facesets.settings import Settings
from facesets.stop import Stop
from facesets.stopwatch import Stopwatch

if TYPE_CHECKING:
    from facesets.inference.clip_packs import ClipPack
    from facesets.interfaces import Describer, Embedder, Progress
    from facesets.store.postgres.library import Library

ClipPackOption = Annotated[
    str | None,
    typer.Option(
        "--clip-pack",
        help="CLIP pack, by name or path; with --ml-uri the service's name for it. "
        "[default: the library's own, else ViT-B-32__openai]",
        show_default=False,
    ),
]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the flags say of inference, and whether there is much to do."""

    detection: tuple[str | None, int | None, float | None] = (None, None, None)
    clip_pack: str | None = None
    provider: str = "auto"
    ml_uri: str | None = None
    skip_faces: bool = False
    skip_clip: bool = False
    workers: int | None = None
    long_run: bool = False


def describer(
    library: "Library",
    options: IndexOptions,
    conf: Settings,
    asked: Asked,
    progress: "Progress",
    stop: Stop,
    *,
    stopwatch: Stopwatch | None = None,
) -> "tuple[Describer, IndexOptions]":
    """What describes pictures for `index`, and the options that fit it.

    Raises
    ------
    WrongUsage
        Nothing is left to look for.
    MissingModelPack, DamagedFile, Unreachable
        The models are not here, or the service does not answer.
    """
    if asked.skip_faces and asked.skip_clip:
        raise WrongUsage("With --skip-faces and --skip-clip there is nothing to look for. Leave one out.")
    if asked.ml_uri:
        from facesets.cli.library import service
        from facesets.remote.service_embedder import ServiceEmbedder

        client = service(
            asked.ml_uri, library.settings, asked.detection, clip=clip_name(library, asked), stop=stop
        )
        return ServiceEmbedder(client, faces=not asked.skip_faces, clip=not asked.skip_clip), options
    return _local(library, options, conf, asked, progress, stop, stopwatch)


def clip_name(library: "Library", asked: Asked) -> str | None:
    """What a service calls the CLIP model to use; None for its usual one."""
    from facesets.remote.service_embedder import service_clip

    known = [name for row in library.clip_models() if (name := service_clip(row.model))]
    return asked.clip_pack or next(iter(known), None)


def _local(
    library: "Library",
    options: IndexOptions,
    conf: Settings,
    asked: Asked,
    progress: "Progress",
    stop: Stop,
    stopwatch: Stopwatch | None,
) -> "tuple[Describer, IndexOptions]":
    from facesets.cli.library import index_embedder
    from facesets.inference.clip_image import ClipVisual
    from facesets.inference.describer import LocalDescriber
    from facesets.inference.providers import choose_provider

    faces: Embedder | None = None
    pack = None if asked.skip_clip else _clip_pack(library, conf, asked)
    if not asked.skip_faces:
        faces, options = index_embedder(
            library.settings,
            options,
            conf,
            detection=asked.detection,
            provider=asked.provider,
            ml_uri=None,
            progress=progress,
            stop=stop,
            workers=asked.workers,
            long_run=asked.long_run,
            stopwatch=stopwatch,
        )
    if pack is None:
        return LocalDescriber(faces, None), options
    choice = choose_provider(asked.provider, pack.probe())
    return LocalDescriber(faces, ClipVisual(pack, provider=choice.provider)), options


def _clip_pack(library: "Library", conf: Settings, asked: Asked) -> "ClipPack | None":
    from facesets.inference.catalog import DEFAULT_CLIP
    from facesets.operations.models.clip_choice import NO_PACK, another_model, pack_for_index

    known = library.clip_models()
    # Where there is nothing to do but this, its absence is no matter of a notice.
    name = asked.clip_pack or (DEFAULT_CLIP if asked.skip_faces and not known else None)
    pack = pack_for_index(name, known, conf.model_roots)
    if pack is not None and (line := another_model(pack, known)):
        console.notice(line)
    say_once(conf.cache_dir, f"CLIP pack for {library.label}", NO_PACK if pack is None else "")
    return pack
