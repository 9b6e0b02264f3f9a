"""`facesets doctor`."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import opened_library, working
from facesets.cli.params import BodyModelOption, DatabaseOption, PackOption, ProviderOption
from facesets.cli.wording import with_library, worded
from facesets.errors import FacesetsError
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.words.phrases import table

if TYPE_CHECKING:
    from facesets.operations.models.finding import DoctorFinding
    from facesets.settings import Settings

_LIBRARY = "library"
_MARKS = {"ok": "ok", "note": "--", "problem": "!!"}


def doctor(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Further directories that will be written to."),
    ] = None,
    benchmark: Annotated[
        bool,
        Option("Measure how fast models run here, and how threads are best used."),
    ] = False,
    pack: PackOption = None,
    body_model: BodyModelOption = None,
    provider: ProviderOption = "auto",
    database: DatabaseOption = None,
) -> None:
    """Look for what is wrong with this installation, and say which command repairs it."""
    from facesets import settings
    from facesets.operations.models.doctor import doctor as run

    conf = settings.load()
    roots = conf.model_roots
    if pack is not None:
        from facesets.inference.packs import find_pack

        find_pack(pack, roots)
    if benchmark:
        _benchmark(conf, pack, provider)
        _show_norm_limits(conf, database)
        return
    findings = [_settings(conf)]
    written = [Path.cwd(), *(path.absolute() for path in directories or [])]
    findings += run(roots, written, pack or conf.pack, body_model)
    findings += _library(conf, database)
    if console.session.quiet:
        findings = [each for each in findings if not _only_tells_of_a_pack(each)]
    findings = [dataclasses.replace(finding, state=worded(finding.state)) for finding in findings]
    lines = []
    for finding in findings:
        if _tells_that_nothing_is_missing(finding):
            continue
        lines.append(f"{_MARKS[finding.level]}  {finding.subject}: {finding.state}")
        if finding.repair:
            lines.append(f"      repair it with: {with_library(finding.repair, console.session.database)}")
    console.show_list("findings", findings, "\n".join(lines))
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


def _only_tells_of_a_pack(finding: "DoctorFinding") -> bool:
    """Whether it is how good a pack is that is here: nothing to repair, and no answer to what is wrong."""
    return finding.level == "note" and not finding.repair and finding.subject.startswith("model pack ")


def _tells_that_nothing_is_missing(finding: "DoctorFinding") -> bool:
    """Whether it is a count of 0, which programs want to read and people do not."""
    return finding.level == "ok" and finding.subject == _LIBRARY


def _library(conf: "Settings", database: str | None) -> "list[DoctorFinding]":
    """What is to be said of the library and its database, where there is one."""
    from facesets.assembly.stores import database_findings
    from facesets.operations.models.finding import DoctorFinding

    try:
        return database_findings(database, conf, console)
    except FacesetsError as error:
        return [DoctorFinding("database", "problem", error.sentence)]
    except ImportError as error:  # what cannot be imported is a finding of its own
        return [DoctorFinding("database", "note", f"{error}")]


def _show_norm_limits(conf: "Settings", database: str | None) -> None:
    """Say how much faces of the library have to show, where there is one."""
    from facesets.assembly.stores import is_library_there

    if not is_library_there(database, conf, console):
        return
    from facesets.operations.library.stats import norm_limits_in_words
    from facesets.store.postgres.library import Library

    with opened_library(database) as session:
        if words := norm_limits_in_words(Library(session)):
            console.remark(words)


def _settings(conf: "Settings") -> "DoctorFinding":
    from facesets.operations.models.finding import DoctorFinding

    places = f"this folder or in {printable(conf.config_dir)}"
    nowhere = f"no facesets.toml in {places} (FACESETS_CONFIG names another place)"
    return DoctorFinding("settings", "ok", printable(conf.file) if conf.file else nowhere)


def _benchmark(conf: "Settings", pack: str | None, provider: str) -> None:
    from facesets.assembly.models import choose, detection_options
    from facesets.assembly.packs import get_pack
    from facesets.operations.models.benchmark import benchmark
    from facesets.operations.models.tuning import FILE_NAME, remember

    detection = detection_options(None, pack, None, None, conf)
    kept = conf.cache_dir / FILE_NAME
    with working() as work:
        models = get_pack(detection.pack, conf, console, work, is_named=bool(pack))
        where = choose(provider, models, console).provider
        results = benchmark(models, detection, where, conf.cpus, stop=work.stop)
    rows = [
        (
            r.tuning.workers,
            r.tuning.threads,
            r.tuning.images_per_run,
            r.tuning.faces_per_run,
            f"{r.detections_per_s:.1f}",
            f"{r.recognitions_per_s:.1f}",
            f"{r.images_per_s:.1f}",
        )
        for r in results.trials
    ]
    headings = (
        *("workers", "threads each", "pictures a run", "faces a run"),
        *("detections/s", "recognitions/s", "images/s with one face"),
    )
    best = results.best
    choice = (
        f"Best here: workers {best.workers}, threads each {best.threads}, "
        f"pictures a run {best.images_per_run}, faces a run {best.faces_per_run}."
    )
    stages = [(name, f"{ms:.1f} ms") for name, ms in results.stage_ms.items()]
    console.show(
        results,
        [
            table(headings, rows),
            "",
            table(("step of a 12-megapixel JPEG", "one thread"), stages),
            "",
            choice,
        ],
    )
    if not work.stop.requested:
        remember(kept, best, models, where, conf.cpus)
        console.remark(f"`embed` and `index` divide their work so from now on (kept in {printable(kept)}).")
