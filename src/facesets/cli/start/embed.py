"""`facesets embed`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets import settings
from facesets.cli import console
from facesets.cli.opening import working
from facesets.cli.params import (
    BatchSizeOption,
    ExcludeOption,
    IncludeOption,
    PackOption,
    ProfileOption,
    ProviderOption,
    StrictOption,
    WorkersOption,
)
from facesets.errors import Command
from facesets.files import printable, require_suffix
from facesets.operations.options.declaration import Option
from facesets.operations.options.start import DetSize, EmbedOptions, LeastDetectionScore
from facesets.words import photos as words

if TYPE_CHECKING:
    from facesets.interfaces import Source

SourceArgument = Annotated[
    Path,
    typer.Argument(
        metavar="[SRC]", help="A photo folder, or one photo; leave it out with --queue.", show_default=False
    ),
]


def embed(
    source: SourceArgument,
    cache: Annotated[
        Path | None,
        typer.Argument(metavar="CACHE", help="The cache file, such as faces.npz.", show_default=False),
    ] = None,
    queue: Annotated[Path | None, Option("A download list of `immich-stage`, in place of SRC.")] = None,
    pack: PackOption = None,
    det_size: DetSize = None,
    min_det_score: LeastDetectionScore = None,
    provider: ProviderOption = "auto",
    workers: WorkersOption = None,
    batch_size: BatchSizeOption = None,
    strict: StrictOption = False,
    include: IncludeOption = (),
    exclude: ExcludeOption = (),
    *,
    options: EmbedOptions,
    profile: ProfileOption = None,
) -> None:
    """Find and embed every face of a folder, into CACHE.

    Run it again for new photos: known ones are not read again.
    """
    from facesets.assembly.embedding import InferenceFlags, embed_photos
    from facesets.assembly.stores import open_cache
    from facesets.operations.models.profile import Meter
    from facesets.stopwatch import Stopwatch

    photos, cache = _source_and_cache(source, cache, queue, include, exclude)
    if profile is not None:
        require_suffix(profile, ".json")
    store = open_cache(cache)
    stopwatch = Stopwatch()
    meter = Meter()
    with working() as work:
        done, how = embed_photos(
            photos,
            store,
            InferenceFlags(pack, det_size, min_det_score, provider, workers, batch_size),
            options,
            settings.load(),
            console,
            stopwatch=stopwatch,
            work=work,
        )
    console.show(done, words.embed(done, label=store.label, dry_run=options.dry_run))
    if not options.dry_run:
        console.profile(stopwatch, meter, workers=how.workers, path=profile)
    console.finish(failed=console.unreadable(done.failures, strict=strict))


def _source_and_cache(
    source: Path,
    cache: Path | None,
    queue: Path | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
) -> "tuple[Source, Path]":
    """Read `SRC CACHE`, or `--queue QUEUE CACHE`, whose first argument is the cache."""
    from facesets.sources.folders import FolderSource, ListedOnce
    from facesets.sources.queue import QueueSource

    if queue is None:
        if cache is None:
            given = printable(source)
            places = ["PHOTOS", given] if source.suffix == ".npz" else [given, "faces.npz"]
            line = Command("embed", *places).line
            raise typer.BadParameter(f"give a photo folder and a cache file: `{line}`.")
        return ListedOnce(FolderSource(source, include=include, exclude=exclude)), cache
    if include or exclude:
        raise typer.BadParameter(
            "a download list already names its photos", param_hint="--include, --exclude"
        )
    if cache is not None:
        raise typer.BadParameter("give either SRC or --queue, not both", param_hint="--queue")
    return QueueSource(queue), source
