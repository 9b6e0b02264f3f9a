"""`facesets immich-stage` and `facesets immich-finish`: find people in photos of an Immich server."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesets import settings
from facesets.cli import console
from facesets.cli.flags import options_of
from facesets.cli.opening import working
from facesets.cli.params import DatabaseOption
from facesets.cli.progress import PlainProgress
from facesets.cli.settings_file import configured_flags
from facesets.cli.wording import worded
from facesets.errors import WrongUsage
from facesets.operations.options.declaration import Option
from facesets.operations.options.immich import ServerOptions, StageOptions
from facesets.operations.options.shared import DryRun
from facesets.words import immich as words

if TYPE_CHECKING:
    from facesets.operations.immich.finish import FinishOptions, Outcome
    from facesets.settings import Settings
    from facesets.sources.queue import QueueSource
    from facesets.store.npz.cache import Cache
    from facesets.work import Stop


def immich_stage(
    user: Annotated[
        str, Option("Name of the folder below --out. The API key decides which account is read.")
    ],
    out: Annotated[Path, Option("Folder for the photos and the download list.")] = Path("immich"),
    *,
    access: ServerOptions,
    known: Annotated[
        tuple[Path, ...],
        Option("Skip photos that this cache holds, or any of several."),
    ] = (),
    known_library: Annotated[
        bool,
        Option(
            "Skip photos that the library holds, if there is one.",
            flag="--known-library/--ignore-library",
        ),
    ] = True,
    database: DatabaseOption = None,
    options: StageOptions,
) -> None:
    """Download photos with large faces from Immich.

    The download list that it writes is for `embed --queue`. Run it again after an outage, or for new
    photos: nothing is downloaded twice.
    """
    from facesets.assembly.immich import access_to, known_content
    from facesets.operations.immich.stage import immich_stage as run
    from facesets.remote.immich import Immich

    conf = settings.load()
    where = access_to(conf, access, connections=options.workers)
    with (
        known_content(known, database, conf, console, library=known_library) as contents,
        working() as work,
        closing(Immich(where, stop=work.stop)) as server,
    ):
        done = run(server, out, user, options, contents, work=work)
    console.report(done, words.immich_stage(done, dry_run=options.dry_run))


def immich_finish(
    context: typer.Context,
    user: Annotated[
        str, typer.Argument(metavar="USER", help="The same as for `immich-stage`.", show_default=False)
    ],
    out: Annotated[Path, Option("The same as for `immich-stage`.")] = Path("immich"),
    cache: Annotated[Path | None, Option("The cache file for the faces.", unset="OUT/USER.npz")] = None,
    export: Annotated[
        Path | None,
        Option(
            "The export to which new face sets are added.",
            unset="export under [immich] in facesets.toml, else OUT/USER.facesets",
        ),
    ] = None,
    log: Annotated[
        Path | None,
        Option("The log file.", unset="OUT/USER.log"),
    ] = None,
    pack: Annotated[str | None, Option("Model pack, as for `embed`.")] = None,
    provider: Annotated[str | None, Option("Where models run, as for `embed`.", advanced=True)] = None,
    landmarks: Annotated[
        bool, Option("Also add landmarks and pose.", flag="--landmarks/--no-landmarks")
    ] = True,
    dry_run: DryRun = False,
) -> None:
    """Embed downloaded photos and find new people in them.

    Run it again after an outage, or after staging more: finished work is skipped. Other options of `embed`
    and `discover` come from facesets.toml.
    """
    from facesets.operations.immich.finish import FinishOptions, FinishSteps, paths_for
    from facesets.operations.immich.finish import immich_finish as run
    from facesets.work import Work

    conf = settings.load()
    paths = paths_for(user, out, cache, export or conf.immich_export, log)
    options = FinishOptions(pack, provider, landmarks, dry_run)
    embedding, discovering = (configured_flags(context, name) for name in ("embed", "discover"))
    with console.stoppable() as stop:
        done = run(
            paths,
            options,
            FinishSteps(
                embed=lambda queue, store, say: _embed(queue, store, options, embedding, conf, say, stop),
                discover=lambda store, out, say: _discover(
                    store, out, paths.staged, options, discovering, conf, say, stop
                ),
                stopped_status=lambda: 128 + console.session.stopped_by,
                worded=worded,
            ),
            now=lambda: datetime.now().astimezone().isoformat(timespec="seconds"),
            work=Work(progress=console.plain_progress(), stop=stop),
        )
    console.show(done, words.immich_finish(done, dry_run=dry_run))
    console.finish()
    if done.status:
        raise typer.Exit(done.status)


@dataclass(frozen=True, slots=True)
class _LogNotices:
    """Sends the notices of a step to the log of the step."""

    say: Callable[[str], None]

    def notice(self, line: str) -> None:
        self.say(line)

    def remark(self, line: str) -> None:
        if not console.session.terse:
            self.say(line)

    def remark_once(self, line: str, *, automatic: bool = False) -> None:
        is_left_out = console.session.quiet if automatic else console.session.terse
        if not is_left_out and console.is_new(line):
            self.say(line)

    def detail(self, line: str) -> None:
        if console.session.verbose:
            self.say(line)

    def should_repeat(self) -> bool:
        return console.should_repeat()

    def is_stopping(self) -> bool:
        return console.is_stopping()


def _embed(
    queue: "QueueSource",
    store: "Cache",
    options: "FinishOptions",
    flags: Mapping[str, Any],
    conf: "Settings",
    say: Callable[[str], None],
    stop: "Stop",
) -> "Outcome":
    from facesets.assembly.embedding import InferenceFlags, embed_photos
    from facesets.operations.models.profile import Meter
    from facesets.operations.options.start import EmbedOptions
    from facesets.stopwatch import Stopwatch
    from facesets.work import Work

    if flags["include"] or flags["exclude"]:
        raise WrongUsage(
            "A download list names each photo. Remove include and exclude from [embed] in facesets.toml."
        )
    stopwatch, meter = Stopwatch(), Meter()
    summary, how = embed_photos(
        queue,
        store,
        InferenceFlags(
            det_size=flags["det_size"],
            min_det_score=flags["min_det_score"],
            workers=flags["workers"],
            batch_size=flags["batch_size"],
            **_models(options, flags),
        ),
        replace(options_of(EmbedOptions, flags), enrich=options.landmarks or flags["enrich"], dry_run=False),
        conf,
        _LogNotices(say),
        stopwatch=stopwatch,
        work=Work(progress=PlainProgress(say, lambda: console.session.terse), stop=stop),
    )
    console.profile(stopwatch, meter, workers=how.workers, path=flags["profile"], say=say)
    return summary, console.unreadable(summary.failures, strict=flags["strict"], say=say)


def _discover(
    store: "Cache",
    out: Path,
    staged: Path,
    options: "FinishOptions",
    flags: Mapping[str, Any],
    conf: "Settings",
    say: Callable[[str], None],
    stop: "Stop",
) -> "Outcome":
    from facesets.assembly.crop_checker import crop_checker
    from facesets.cli.results.exports import GATES
    from facesets.operations.face_sets.discover import discover
    from facesets.operations.options.results import DiscoverOptions, ExportSwapOptions
    from facesets.operations.options.start import RefineOptions
    from facesets.work import Work

    models, notices = _models(options, flags), _LogNotices(say)
    work = Work(progress=PlainProgress(say, lambda: console.session.terse), stop=stop)
    checker = crop_checker(store, models["pack"], models["provider"], conf, notices, work, fetch=True)
    summary = discover(
        store,
        out,
        [staged],
        checker,
        options_of(DiscoverOptions, flags),
        options_of(RefineOptions, {name: flags[name] for name in GATES}),
        replace(options_of(ExportSwapOptions, flags), replace=True, dry_run=False, min_norm=None),
        work=work,
        modeller=checker,
    )
    console.failures([(failure.path, failure.reason) for failure in summary.failures], say=say)
    return summary, summary.failed


def _models(options: "FinishOptions", flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return pack and provider, from the flags of this command, else of the step."""
    return {"pack": options.pack or flags["pack"], "provider": options.provider or flags["provider"]}
