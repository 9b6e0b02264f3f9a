"""`facesets embed`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.params import (
    DebugOption,
    DryRunOption,
    ExcludeOption,
    IncludeOption,
    JsonOption,
    PackOption,
    ProviderOption,
    StrictOption,
)
from facesets.cli.results import as_before
from facesets.operations.options.cache import DetectionOptions, EmbedOptions
from facesets.plurals import counted

if TYPE_CHECKING:
    from facesets.interfaces import Source

_DETECTION = DetectionOptions()
_EMBED = EmbedOptions()


def embed(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="[SRC]",
            help="A folder of photos, or one photo; left out with --queue.",
            show_default=False,
        ),
    ],
    cache: Annotated[
        Path | None,
        typer.Argument(metavar="CACHE", help="The cache file, such as faces.npz.", show_default=False),
    ] = None,
    queue: Annotated[
        Path | None,
        typer.Option(
            help="A queue.json of `immich-stage` in place of SRC: embed --queue QUEUE CACHE.",
            show_default=False,
        ),
    ] = None,
    pack: PackOption = None,
    det_size: Annotated[
        int | None,
        typer.Option(
            help="Edge of the detector's input in pixels. "
            f"[default: the cache's own, else {_DETECTION.det_size}]",
            show_default=False,
        ),
    ] = None,
    min_det_score: Annotated[
        float | None,
        typer.Option(
            help="Least detector score of a face, 0 to 1. "
            f"[default: the cache's own, else {_DETECTION.min_det_score}]",
            show_default=False,
        ),
    ] = None,
    flush_every: Annotated[
        int, typer.Option(min=1, help="New files between flushes: so many are lost at most by a crash.")
    ] = _EMBED.flush_every,
    provider: ProviderOption = "auto",
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Threads. [default: as measured on this machine, else one a processor]",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Files a thread takes, and the detector looks at, at a time. [default: as measured, else 1, "
            "16 for a GPU]",
            show_default=False,
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try unreadable files again, though unchanged.")
    ] = _EMBED.retry_failed,
    strict: StrictOption = False,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Forget what is not there any more in other folders, too."),
    ] = _EMBED.prune,
    fast_decode: Annotated[
        bool,
        typer.Option(
            "--fast-decode",
            help="Decode large JPEGs at a half or less: faster, at the cost of slightly other vectors "
            "(docs/throughput.md says how much).",
        ),
    ] = _EMBED.fast_decode,
    enrich: Annotated[
        bool, typer.Option("--enrich", help="Add landmarks and pose in the same pass.")
    ] = _EMBED.enrich,
    profile: Annotated[
        Path | None,
        typer.Option(help="Write into this JSON file where the time went.", show_default=False),
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Find and embed every face below SRC, or in the photos of QUEUE, and keep it all in CACHE.

    Run it again whenever photos were added: what is known is not read again.
    """
    from facesets import settings
    from facesets.assembly.embedding import InferenceFlags, embed_photos
    from facesets.assembly.stores import open_cache
    from facesets.files import require_suffix
    from facesets.operations.models.profile import Meter, profile_of
    from facesets.stopwatch import Stopwatch

    photos, cache = _source_and_cache(source, cache, queue, include or [], exclude or [])
    if profile is not None:
        require_suffix(profile, ".json")
    store = open_cache(cache)
    stopwatch = Stopwatch()
    meter = Meter()
    with console.stoppable() as stop, console.progress() as progress:
        summary, how = embed_photos(
            photos,
            store,
            InferenceFlags(pack, det_size, min_det_score, provider, workers, batch_size),
            EmbedOptions(
                flush_every=flush_every,
                retry_failed=retry_failed,
                fast_decode=fast_decode,
                enrich=enrich,
                prune=prune,
                dry_run=dry_run,
            ),
            settings.load(),
            console,
            stopwatch=stopwatch,
            progress=progress,
            stop=stop,
        )
    console.show(
        summary,
        [
            f"{store.label}: {counted(summary.embedded, 'new image')} with {counted(summary.faces, 'face')}, "
            f"{counted(summary.aliases, 'copy', 'copies')} of known images, {summary.unchanged} unchanged, "
            f"{summary.failed} unreadable{as_before(summary.failures)}."
            + (
                f" {counted(summary.ignored, 'file or folder', 'files and folders')} ignored."
                if summary.ignored
                else ""
            )
            + (f" {counted(summary.gone, 'file')} gone." if summary.gone else "")
            + (f" {counted(summary.moved, 'file')} moved here from elsewhere." if summary.moved else "")
            + (f" {counted(summary.pruned, 'path')} elsewhere forgotten." if summary.pruned else "")
            + (f" {summary.to_do} to do." if dry_run else "")
            + (" Stopped early: run the same command again to go on." if summary.stopped else "")
        ],
    )
    if (profile is not None or console.session.verbose) and not dry_run:
        console.profile(profile_of(stopwatch, meter, workers=how.workers, path=profile))
    console.finish(failed=console.unreadable(summary.failures, strict=strict))


def _source_and_cache(
    source: Path, cache: Path | None, queue: Path | None, include: list[str], exclude: list[str]
) -> "tuple[Source, Path]":
    """Tell SRC CACHE from --queue QUEUE CACHE, where the first argument is the cache."""
    from facesets.sources.folders import FolderSource
    from facesets.sources.listed_once import ListedOnce
    from facesets.sources.queue import QueueSource

    if queue is None:
        if cache is None:
            raise typer.BadParameter("give SRC and CACHE, or --queue QUEUE and CACHE", param_hint="CACHE")
        return ListedOnce(FolderSource(source, include=include, exclude=exclude)), cache
    if include or exclude:
        raise typer.BadParameter("a queue names its photos one by one", param_hint="--include, --exclude")
    if cache is not None:
        raise typer.BadParameter("give either SRC or --queue, not both", param_hint="--queue")
    return QueueSource(queue), source
