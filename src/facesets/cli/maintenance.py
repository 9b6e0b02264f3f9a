"""`facesets doctor`, and `facesets models list | show | path | pull | verify`."""

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets import settings
from facesets.cli import console
from facesets.cli.opening import opened_library, working
from facesets.cli.params import BodyModelOption, DatabaseOption, PackOption, ProviderOption
from facesets.cli.wording import with_library, worded
from facesets.errors import FacesetsError
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.shared import DryRun
from facesets.words.phrases import table

if TYPE_CHECKING:
    from facesets.inference.model_files import Triple
    from facesets.operations.models.finding import DoctorFinding
    from facesets.operations.models.packs import FileDetails
    from facesets.settings import Settings

_LIBRARY = "library"
_MARKS = {"ok": "ok", "note": "--", "problem": "!!"}


def doctor(
    directories: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[DIR]...", help="Further folders to check for write access."),
    ] = None,
    benchmark: Annotated[
        bool,
        Option("Measure how fast models run here, and set the number of threads."),
    ] = False,
    pack: PackOption = None,
    body_model: BodyModelOption = None,
    provider: ProviderOption = "auto",
    database: DatabaseOption = None,
) -> None:
    """Check the installation, and print what repairs it."""
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
        findings = [each for each in findings if not _only_describes_pack(each)]
    findings = [dataclasses.replace(finding, state=worded(finding.state)) for finding in findings]
    lines = []
    for finding in findings:
        if _is_zero_count(finding):
            continue
        lines.append(f"{_MARKS[finding.level]}  {finding.subject}: {finding.state}")
        if finding.repair:
            lines.append(f"      to fix it: {with_library(finding.repair, console.session.database)}")
    console.show_list("findings", findings, "\n".join(lines))
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


def _only_describes_pack(finding: "DoctorFinding") -> bool:
    """Whether a finding only describes an installed pack."""
    return finding.level == "note" and not finding.repair and finding.subject.startswith("model pack ")


def _is_zero_count(finding: "DoctorFinding") -> bool:
    """Whether a finding is a count of 0, which is only for --json."""
    return finding.level == "ok" and finding.subject == _LIBRARY


def _library(conf: "Settings", database: str | None) -> "list[DoctorFinding]":
    """Return the findings about the library, if there is one."""
    from facesets.assembly.stores import database_findings
    from facesets.operations.models.finding import DoctorFinding

    try:
        return database_findings(database, conf, console)
    except FacesetsError as error:
        return [DoctorFinding("database", "problem", error.sentence)]
    except ImportError as error:  # what cannot be imported is a finding of its own
        return [DoctorFinding("database", "note", f"{error}")]


def _show_norm_limits(conf: "Settings", database: str | None) -> None:
    """Print the minimum norms of faces, if there is a library."""
    from facesets.assembly.stores import has_library

    if not has_library(database, conf, console):
        return
    from facesets.operations.library.stats import norm_limits_in_words

    with opened_library(database) as library:
        if words := norm_limits_in_words(library):
            console.remark(words)


def _settings(conf: "Settings") -> "DoctorFinding":
    from facesets.operations.models.finding import DoctorFinding

    places = f"this folder or in {printable(conf.config_dir)}"
    nowhere = f"no facesets.toml in {places} (FACESETS_CONFIG sets another location)"
    return DoctorFinding("settings", "ok", printable(conf.file) if conf.file else nowhere)


def _benchmark(conf: "Settings", pack: str | None, provider: str) -> None:
    from facesets.assembly.models import choose, detection_options
    from facesets.assembly.packs import get_pack
    from facesets.operations.models.benchmark import benchmark
    from facesets.operations.models.tuning import FILE_NAME, remember

    detection = detection_options(None, pack, None, None, conf)
    tuning_file = conf.cache_dir / FILE_NAME
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
        *("workers", "threads each", "photos per run", "faces per run"),
        *("detections/s", "recognitions/s", "photos/s with one face each"),
    )
    best = results.best
    choice = (
        f"Fastest here: {best.workers} workers, {best.threads} threads each, {best.images_per_run} "
        f"photos per run, {best.faces_per_run} faces per run."
    )
    stages = [(name, f"{ms:.1f} ms") for name, ms in results.stage_ms.items()]
    console.show(
        results,
        [
            table(headings, rows),
            "",
            table(("step for a 12-megapixel JPEG", "one thread"), stages),
            "",
            choice,
        ],
    )
    if not work.stop.requested:
        remember(tuning_file, best, models, where, conf.cpus)
        console.remark(f"`embed` and `index` will use these numbers (stored in {printable(tuning_file)}).")


models = typer.Typer(help="List, download and verify model packs.", no_args_is_help=True)

_Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="A pack's name or path. [default: the pack in use]",
        show_default=False,
    ),
]


def _published(incomplete: str) -> list[str]:
    """List packs and models that can be downloaded, for shell completion."""
    from facesets.inference.catalog import CONVERTED, PUBLISHED, PUBLISHED_BODY, PUBLISHED_CLIP

    known = (*PUBLISHED, *CONVERTED, *PUBLISHED_CLIP, *PUBLISHED_BODY)
    return [name for name in known if name.startswith(incomplete)]


_PublishedName = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="A pack's name. [default: `pack` of facesets.toml, else buffalo_l]",
        show_default=False,
        autocompletion=_published,
    ),
]


def _named(name: str | None, conf: "Settings") -> str:
    from facesets.inference.packs import usual_pack

    return name or usual_pack(conf.pack, conf.model_roots)


@models.command("list")
def list_() -> None:
    """List the model packs and body models here."""
    from facesets.inference.catalog import DEFAULT_BODY, PUBLISHED_BODY
    from facesets.operations.models.packs import list_packs

    roots = settings.load().model_roots
    packs = [replace(pack, problem=worded(pack.problem)) for pack in list_packs(roots)]
    rows = [(p.name, f"{p.megabytes:.0f} MB", p.problem or ", ".join(p.tasks), p.path) for p in packs]
    nothing = (
        f"No model packs found in {', '.join(str(r) for r in roots)}. Run `facesets models pull buffalo_l`."
    )
    text = table(("pack", "size", "models", "path"), rows)
    notes = [f"\n{p.name}: {p.note}" for p in packs if p.note]
    if not any("bodies" in pack.tasks for pack in packs):
        model = PUBLISHED_BODY[DEFAULT_BODY]
        notes.append(
            f"\nNo body model is installed. Download one with `facesets models pull {model.name}`. "
            f"{model.licence}"
        )
    console.show_list("packs", packs, "\n".join([text if packs else nothing, *notes]))


@models.command()
def show(name: _Name = None) -> None:
    """Show a pack's files, inputs, licenses and sources."""
    from facesets.operations.models.packs import describe_pack

    conf = settings.load()
    pack = describe_pack(_named(name, conf), conf.model_roots)
    lines = [f"{pack.name}: {printable(pack.path)}", *([pack.note] if pack.note else [])]
    for file in pack.files:
        size = f", {file.input_size} pixels" if file.input_size else ""
        decoder = f" as {file.decoder}" if file.decoder else ""
        lines += ["", f"{file.task}: {printable(file.file)}{decoder}{size}, {file.channels}"]
        lines.append(f"  (pixel - {_levels(file.mean)}) / {_levels(file.std)}")
        if file.keypoints:
            lines.append(f"  keypoints at {', '.join(f'({x:g}, {y:g})' for x, y in file.keypoints)}")
        lines += [f"  {what}: {printable(text)}" for what, text in _origin(file) if text]
    console.show(pack, lines)


def _levels(values: "float | Triple") -> str:
    return f"{values:g}" if isinstance(values, float) else str(values)


def _origin(file: "FileDetails") -> list[tuple[str, str]]:
    return [
        ("license", file.licence),
        ("source", file.source),
        ("sha256 of the file", file.sha256),
        ("identity in caches", file.identity),
    ]


@models.command()
def path(name: _Name = None) -> None:
    """Print where a pack is."""
    from facesets.operations.models.packs import find

    conf = settings.load()
    pack = find(_named(name, conf), conf.model_roots)
    console.show(pack, [pack.path], asked_for=True)


@models.command()
def pull(
    name: _PublishedName = None,
    force: Annotated[bool, Option("Download it again.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Download a pack and verify it.

    buffalo_l or open for faces, ViT-B-32__openai for CLIP, yolox_s for bodies.
    """
    from facesets.inference.packs import DEFAULT_PACK
    from facesets.operations.models.pull import plan_pull
    from facesets.operations.models.pull import pull as run

    conf = settings.load()
    name = name or conf.pack or DEFAULT_PACK
    if dry_run:
        plan = plan_pull(name, conf.model_roots, force=force)
        destination = f"{plan.path} is already installed." if not plan.url else f"{plan.url} into {plan.path}"
        console.show(plan, [destination, *filter(None, (plan.digests, plan.licence))])
        return

    with working() as work:
        pack = run(name, conf.model_roots, force=force, work=work)
    if digests := plan_pull(name, conf.model_roots, force=True).digests:
        console.detail(f"Published checksums: {digests}.")
    console.show(pack, [f"{pack.name}: {pack.path}"])
    if pack.note:
        console.notice(pack.note)


@models.command()
def verify(name: _Name = None) -> None:
    """Verify each file of a pack."""
    from facesets.operations.models.packs import verify as run

    conf = settings.load()
    checks = run(_named(name, conf), conf.model_roots)
    rows = [(check.file, check.task, check.verdict, check.sha256) for check in checks]
    console.show_list("files", checks, table(("file", "task", "published?", "sha256"), rows))
    if any(check.verdict == "differs" for check in checks):
        raise typer.Exit(1)
