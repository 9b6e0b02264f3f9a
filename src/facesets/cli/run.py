"""`facesets run`."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from facesets.cli import console
from facesets.cli.params import (
    DebugOption,
    DryRunOption,
    JsonOption,
    PackOption,
    whole_number_or_auto,
)
from facesets.cli.results import hint_lines, learned_lines, report
from facesets.cli.thresholds import said_threshold
from facesets.errors import WrongUsage
from facesets.files import plain_path, printable
from facesets.operations.options.cache import ClusterOptions, RefineOptions
from facesets.operations.options.face_sets import ExtendOptions
from facesets.plurals import counted, people
from facesets.results.materialize import Materialize

if TYPE_CHECKING:
    from facesets.inference.packs import ModelPack
    from facesets.interfaces import Embedder, Progress
    from facesets.operations.options.cache import EmbedOptions
    from facesets.operations.run import RunOptions, RunSummary
    from facesets.settings import Settings
    from facesets.stop import Stop
    from facesets.store.npz.cache import Cache

_TOLD = ("method", "threshold", "min_cosine_similarity")
"""Flags of `cluster` that are read together."""

Options = TypeVar("Options", ClusterOptions, RefineOptions, ExtendOptions)


def run(
    context: typer.Context,
    photos: Annotated[Path, typer.Argument(metavar="PHOTOS", help="A folder of photos.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Argument(
            metavar="[OUT]",
            help="Folder for the results. [default: facesets-out here; beside PHOTOS where here is in it]",
            show_default=False,
        ),
    ] = None,
    pack: PackOption = None,
    materialize: Annotated[
        Materialize | None,
        typer.Option(help="How photos get into the folders. [default: copy]", show_default=False),
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> None:
    """Sort a folder of photos by the people in it: folders, face sets, contact sheets, and pages to look at.

    Run it again whenever photos were added, or folders renamed. Other settings are those of `embed`,
    `cluster`, `refine` and `extend` in facesets.toml.
    """
    from facesets.operations.run import run as run_all

    out = out or _default_place(photos)
    flags = _flags_of(context, "embed")
    flags["pack"] = pack or flags["pack"]
    with console.stoppable() as stop, console.progress() as progress:
        summary = run_all(
            photos,
            out,
            _options(context, materialize, dry_run=dry_run),
            lambda cache: _models(cache, photos, flags, progress, stop),
            progress=progress,
            stop=stop,
        )
    report(summary, _lines(summary, out))


def _default_place(photos: Path) -> Path:
    """Where results go if nothing is said, unless those of other photos are there.

    Raises
    ------
    WrongUsage
        They are.
    """
    from facesets.operations.run import default_out, sources_of

    out = default_out(photos, Path.cwd())
    sources = sources_of(out)
    if sources and photos.exists() and str(plain_path(photos)) not in sources:
        raise WrongUsage(
            f"{printable(out)} holds the people of {printable(sources[0])}. Say where these results go: "
            f"`facesets run {printable(photos)} OUT`. With the same OUT both are sorted together."
        )
    return out


def _flags_of(context: typer.Context, command: str) -> dict[str, Any]:
    """What the flags of another command are if none is given: from the environment and facesets.toml."""
    group = context.parent
    if group is None:
        raise ValueError("run belongs to the app")
    before = dataclasses.replace(console.session)
    part = group.command.get_command(group, command)  # type: ignore[attr-defined]
    try:
        params: Mapping[str, Any] = part.make_context(command, ["-"], parent=group).params
    finally:
        # Reading a command's flags sets how the program talks.
        for each in dataclasses.fields(before):
            setattr(console.session, each.name, getattr(before, each.name))
    return dict(params)


def _options(context: typer.Context, materialize: Materialize | None, *, dry_run: bool) -> "RunOptions":
    """The settings of all steps."""
    from facesets import settings
    from facesets.operations.run import RunOptions

    grouping, gates = _flags_of(context, "cluster"), _flags_of(context, "refine")
    finding, said = _flags_of(context, "embed"), said_threshold(grouping)
    others = {name: value for name, value in grouping.items() if name not in _TOLD}
    own = {} if materialize is None else {"materialize": materialize}
    return RunOptions(
        cluster=_made(ClusterOptions(), others, **own).told(grouping["method"], said),
        refine=_made(
            RefineOptions(),
            gates,
            min_faces=whole_number_or_auto("--min-faces", gates["min_faces"]),
            **own,
        ),
        extend=_made(ExtendOptions(), _flags_of(context, "extend")),
        include=tuple(finding["include"] or ()),
        exclude=tuple(finding["exclude"] or ()),
        workers=settings.load().cpus,
        dry_run=dry_run,
    )


def _made(base: Options, flags: Mapping[str, Any], **own: Any) -> Options:  # noqa: ANN401 - values of any field
    """Options with those flags that are among them, and with values of one's own."""
    known = {each.name for each in dataclasses.fields(base)} - {"dry_run"}
    return dataclasses.replace(base, **{k: v for k, v in flags.items() if k in known} | own)


def _models(
    cache: "Cache", photos: Path, flags: Mapping[str, Any], progress: "Progress", stop: "Stop"
) -> "tuple[Embedder, EmbedOptions]":
    """Load the models, and decide how the work is divided."""
    from facesets import settings
    from facesets.cli import assemble
    from facesets.operations.models.tuning import is_long
    from facesets.operations.options.cache import EmbedOptions
    from facesets.sources.folders import FolderSource

    conf = settings.load()
    detection = assemble.detection_options(
        cache.settings, flags["pack"], flags["det_size"], flags["min_det_score"], conf
    )
    is_chosen = bool(flags["pack"] or conf.pack or cache.settings)
    if is_chosen:
        pack = assemble.get_pack(detection.pack, conf, progress, stop, known=cache.settings)
    else:
        pack = _usual_pack(detection.pack, conf, progress, stop)
    choice = assemble.choose(flags["provider"], pack)
    by_itself = flags["workers"] is None and flags["batch_size"] is None
    if by_itself and not assemble.is_measured(conf, pack, choice):
        source = FolderSource(photos, include=flags["include"] or (), exclude=flags["exclude"] or ())
        if is_long(source.files(), sum(map(source.covers, cache.files()))):
            assemble.measure(conf, pack, choice, detection, progress, stop)
    tuning = assemble.divide(conf, pack, choice, workers=flags["workers"], batch_size=flags["batch_size"])
    options = EmbedOptions(
        flush_every=flags["flush_every"],
        workers=tuning.workers,
        batch_size=tuning.images_per_run,
        retry_failed=flags["retry_failed"],
        prune=flags["prune"],
        fast_decode=flags["fast_decode"],
    )
    return assemble.make_embedder(pack, detection, choice, tuning=tuning), options


def _usual_pack(name: str, conf: "Settings", progress: "Progress", stop: "Stop") -> "ModelPack":
    """The usual pack, or the open one where that cannot be had and, on a terminal, the user agrees."""
    from facesets.inference.packs import find_pack
    from facesets.operations.models.packs import fetch_or_open

    def agrees(reason: str) -> bool:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            return True
        with console.paused(progress):
            console.notice(f"The model pack {name} cannot be fetched now. ({reason})")
            return typer.confirm(
                "Go on with the open pack, which is free for any use?", default=True, err=True
            )

    taken, instead = fetch_or_open(name, conf.model_roots, agrees=agrees, progress=progress, stop=stop)
    if instead:
        progress.say(instead)
    return find_pack(taken.path, ())


def _lines(summary: "RunSummary", out: Path) -> list[str]:
    from facesets.operations.run import PEOPLE, SETS, cache_of

    if summary.dry_run:
        to_do = counted(summary.to_do, "photo")
        return [f"{to_do} of {printable(summary.photos)} to look at. Results would go to {printable(out)}."]
    if not summary.index:
        return [f"{counted(summary.new_images, 'new photo')} looked at."]
    counts = (
        people(summary.persons),
        counted(summary.singletons, "single face"),
        f"{counted(summary.no_face, 'photo')} without a face",
        counted(summary.facesets, "face set"),
    )
    lines = [f"{counted(summary.images, 'photo')}, {counted(summary.faces, 'face')}: {', '.join(counts)}."]
    if summary.joined:
        new = counted(summary.new_images, "new photo")
        lines.append(f"{new}; {counted(summary.joined, 'face')} joined people who were there.")
    lines += learned_lines(summary.learned)
    lines += hint_lines(summary, cache_of(out), out / SETS)
    if summary.unreadable:
        lines.append(
            f"{counted(summary.unreadable, 'file')} cannot be read: {printable(out / 'pages/failed.html')}"
        )
    if summary.sheet:
        lines.append(f"As one picture: {printable(summary.sheet)}")
    then = (
        f"name the folders in {printable(out / PEOPLE)}, such as person_001, and run the same command again: "
        "it takes in names and new photos"
        if summary.persons
        else "add photos in which people come twice, and run the same command again"
    )
    lines.append(f"Open {printable(summary.index)} in a browser. Next: {then}.")
    return lines
