"""`facesets check`."""

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.opening import opened_library
from facesets.cli.params import (
    DatabaseOption,
    MlUriOption,
    PackOption,
    ProviderOption,
)
from facesets.cli.user import current_user
from facesets.cli.wording import worded
from facesets.errors import Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.library import IndexOptions
from facesets.plurals import counted
from facesets.words.phrases import local_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facesets.assembly.describing import Asked
    from facesets.interfaces import Describer
    from facesets.operations.library.check import Repair
    from facesets.operations.library.erase_missing import EraseMissing
    from facesets.operations.people.grouping.staleness import Staleness
    from facesets.settings import Settings
    from facesets.store.postgres.library import Library
    from facesets.store.postgres.missing_photos import MissingPhoto

_WHAT_IS_LOST = (
    "Some photos must be read again and are not there. Bring them back, run `facesets index`, then `facesets "
    "check --fix`; or forget them: images by `DELETE FROM images WHERE id = …;` in `facesets db psql`, paths "
    "without an image by `facesets index --prune`."
)


_NAMED = 5
_WHAT_IS_MISSING = (
    "No file of them is left, and they count nowhere. Put the files back and run `facesets index`, or erase "
    "them with their faces: `facesets check --erase-missing`."
)


def check(
    database: DatabaseOption = None,
    fix: Annotated[bool, Option("Repair it: search the affected images again, where they are.")] = False,
    ml_uri: MlUriOption = None,
    pack: PackOption = None,
    provider: ProviderOption = "auto",
    staleness: Annotated[
        bool, Option("Say instead whether the kept hierarchy is due to be made again, and why.")
    ] = False,
    erase_missing: Annotated[
        bool, Option("Erase instead the photos of which no file is left, with their faces, for good.")
    ] = False,
    dry_run: Annotated[bool, Option("With --erase-missing: show what would be erased.")] = False,
    yes: Annotated[bool, Option("With --erase-missing: do not ask.")] = False,
) -> None:
    """Look for what changes by hand have broken in the library. Status 1 if something is left broken.

    Photos of which no file is left are named, too. They count nowhere, and are back when their files are.
    """
    from facesets import settings
    from facesets.assembly.describing import Asked
    from facesets.operations.library.check import Repair
    from facesets.operations.library.check import check as run
    from facesets.store.postgres.library import Library

    if staleness and fix:
        raise WrongUsage("--staleness repairs nothing: leave out --fix, or run `facesets check` for each.")
    if erase_missing and (fix or staleness):
        raise WrongUsage("--erase-missing goes alone: leave out --fix and --staleness.")
    if (dry_run or yes) and not erase_missing:
        raise WrongUsage("--dry-run and --yes belong to --erase-missing.")
    conf = settings.load()
    if erase_missing:
        _erase_missing(database, conf, dry_run=dry_run, yes=yes)
        return
    with opened_library(database) as session:
        library = Library(session)
        if staleness:
            from facesets.operations.people.grouping.staleness import staleness as measure

            found_stale = measure(library)
            console.show(found_stale, staleness_lines(found_stale), asked_for=True)
            return
        if fix:
            asked = Asked((pack, None, None), provider=provider, ml_uri=ml_uri)
            done = _repaired(library, asked, conf)
        else:
            found = run(library, fix=False)
            done = Repair(found, found)
    _tell(library.label, done, fix=fix)
    if done.left.problems:
        raise typer.Exit(1)


def _erase_missing(database: str | None, conf: "Settings", *, dry_run: bool, yes: bool) -> None:
    from facesets.operations.library.erase_missing import erase_missing, plan_erasing
    from facesets.store.kept_pictures import FOLDER
    from facesets.store.postgres.library import Library

    with opened_library(database) as session:
        library = Library(session)
        plan = plan_erasing(library)
        if plan.numbers and not dry_run:
            if not yes:
                _ask(plan)
            plan = erase_missing(library, plan, pictures=conf.cache_dir / FOLDER)
    console.show(plan, _erased_lines(plan), asked_for=dry_run)


def _ask(plan: "EraseMissing") -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise WrongUsage(
            f"This erases {_what(plan)} for good. {Field('dry_run')} shows what; say {Field('yes')} if you "
            "mean it."
        )
    for line in _erased_lines(plan):
        console.notice(line)
    if not console.agrees("Erase all of that for good? This cannot be undone."):
        raise WrongUsage("Nothing was erased.")


def _erased_lines(plan: "EraseMissing") -> list[str]:
    if not plan.numbers:
        return ["No photo is missing whose file is surely gone."]
    did = "Erased" if plan.erased else "To be erased for good"
    lines = [f"{did}: {_what(plan)}."]
    lines += _named(plan.photos)
    for person in plan.people:
        rest = f"{person.left} left" if person.left else "none is left; the name stays"
        lines.append(f"{printable(person.name)}: {counted(person.faces, 'face')}, {rest}.")
    if plan.corrections:
        lines.append("Corrections that no other face has:")
    return [*lines, *(f"  {printable(each)}" for each in plan.corrections)]


def _what(plan: "EraseMissing") -> str:
    versions = f" and {counted(plan.replaced, 'former version')} of photos" if plan.replaced else ""
    return f"{counted(len(plan.photos), 'photo')}{versions} with {counted(plan.faces, 'face')}"


def _named(photos: "Sequence[MissingPhoto]") -> list[str]:
    """The first of some photos, by where they were."""
    lines = []
    for photo in photos[:_NAMED]:
        who = f": {', '.join(map(printable, photo.people))}" if photo.people else ""
        lines.append(f"  {printable(photo.path) or photo.sha256[:16]}{who}")
    return (
        [*lines, f"  … and {len(photos) - _NAMED} more (--json lists all)"] if len(photos) > _NAMED else lines
    )


def _repaired(library: "Library", asked: "Asked", conf: "Settings") -> "Repair":
    from facesets.assembly.describing import describer
    from facesets.operations.library.check import Skip, repair, require_service

    require_service(library, asked.ml_uri)
    with console.stoppable() as stop, console.progress() as progress:

        def prepare(skip: Skip) -> "tuple[Describer, IndexOptions]":
            rest = replace(asked, skip_faces=skip.faces, skip_clip=skip.clip)
            return describer(library, IndexOptions(), conf, rest, console, progress, stop)

        return repair(library, prepare, by=current_user(), progress=progress, stop=stop)


def _tell(label: str, done: "Repair", *, fix: bool) -> None:
    summary, left = done.found, done.left
    problems = [replace(problem, repair=worded(problem.repair)) for problem in summary.problems]
    lines = [f"{problem.what}: {problem.count} ({problem.repair})" for problem in problems]
    if fix and problems:
        names = "; ".join(f"{problem.what}: {problem.count}" for problem in left.problems)
        lines.append(f"Left: {names}" if names else "All repaired.")
        lines += [worded(f"Out of reach of forgetting: {each}.") for each in summary.out_of_reach]
    elif summary.can_be_mended:
        lines.append("Run `facesets check --fix` to repair it.")
    if left.lost:
        lines.append(_WHAT_IS_LOST)
    lines = lines or [f"{label} is sound."]
    if left.missing:
        lines.append(f"Missing: {counted(len(left.missing), 'photo')}. {_WHAT_IS_MISSING}")
        lines += _named(left.missing)
    console.show(
        replace(summary, problems=problems, lost=left.lost, missing=left.missing),
        lines,
        asked_for=bool(left.problems),
    )
    console.failures([(photo.path, photo.reason) for photo in [*done.failures, *left.lost]])


def staleness_lines(found: "Staleness") -> list[str]:
    """How old the kept hierarchy is, in words."""
    again = "Make it again: `facesets cluster --method hdbscan --full`."
    if not found.exists:
        if found.due:
            return [f"No kept hierarchy is in force: {found.reasons[0]}. {again}"]
        return ["There is no kept hierarchy. `facesets cluster --method hdbscan` makes one."]
    made = local_time(found.made)
    figures = (
        f"Hierarchy of {counted(found.faces, 'face')}, made {made}: {found.added} added since "
        f"({found.share_added:.1%}), {found.unassigned} of these unassigned ({found.share_unassigned:.1%}); "
        f"nine tenths of the centroids moved less than {found.drift:.3f}."
    )
    verdict = f"A new one is due: {'; '.join(found.reasons)}. {again}" if found.due else "It still fits."
    return [figures, *found.changed, verdict]
