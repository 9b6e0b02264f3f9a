"""`facesets immich-push`."""

import sys
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facesets.cli import console
from facesets.cli.params import DatabaseOption
from facesets.errors import Command, Field, WrongUsage
from facesets.files import printable
from facesets.operations.options.declaration import Option
from facesets.operations.options.immich import PushOptions, ServerOptions
from facesets.plurals import counted, people
from facesets.words.phrases import GO_ON

if TYPE_CHECKING:
    from facesets.interfaces import Progress
    from facesets.operations.immich.push_summary import PushedPerson, PushSummary
    from facesets.operations.immich.push_undo import PushUndoSummary
    from facesets.remote.immich_people import ImmichPeople
    from facesets.stop import Stop

_ACTIONS = {
    "create": "make",
    "name": "name a nameless person",
    "keep": "known there",
    "leave": "leave alone",
}
_KINDS = {
    "create_person": ("person", "people", "made"),
    "name_person": ("person", "people", "named"),
    "give_face": ("face", "faces", "given"),
    "create_face": ("face", "faces", "added"),
    "merge_person": ("person", "people", "merged"),
    "drop_birth_date": ("birth date", "birth dates", "removed"),
    "delete_face": ("face", "faces", "removed"),
    "delete_person": ("person", "people", "removed"),
    "changed_meanwhile": ("change", "changes", "left out, for the server was changed meanwhile"),
}
_ENDED = "Nothing was changed: it was ended at the question."
_NOBODY_NAMED = (
    "Nobody with a name is on the photos that were staged. Name people first: `facesets embed --queue QUEUE "
    "CACHE`, `facesets cluster CACHE OUT`, rename a folder such as OUT/person_001 to the person's name, and "
    "give --people OUT --cache CACHE."
)


UndoOption = Annotated[
    str | None,
    Option(
        "Show what a run changed, by its name, or `last`; with --apply, or a yes, take it back.",
        metavar="RUN",
    ),
]


def immich_push(
    staged: Annotated[
        Path, typer.Argument(metavar="STAGED", help="OUT/USER of `immich-stage`.", show_default=False)
    ],
    people: Annotated[
        Path | None,
        Option(
            "A folder of `cluster` or `refine`, for the people whose folders you gave names.",
            unset="the library",
        ),
    ] = None,
    cache: Annotated[Path | None, Option("The cache that --people was made from.")] = None,
    apply: Annotated[bool, Option("Carry the plan out, after showing it, without a question.")] = False,
    undo: UndoOption = None,
    give_up: Annotated[bool, Option("With --undo: end it though a part of it cannot be taken back.")] = False,
    database: DatabaseOption = None,
    *,
    access: ServerOptions,
    options: PushOptions,
) -> None:
    """Write people back to an Immich server: names, whose faces they are, merges.

    Shows the plan; changes nothing before you agree, or without --apply. Names, hidden people and faces
    that a user of the server decided about stay as they are. Every run can be taken back with --undo.
    """
    from facesets import settings
    from facesets.assembly.immich import access_to, local_people_source
    from facesets.operations.immich.push import immich_push as run
    from facesets.remote.immich_people import ImmichPeople

    if give_up and undo is None:
        raise WrongUsage("--give-up goes with --undo RUN.")
    conf = settings.load()
    where = access_to(conf, access, connections=options.workers)
    with (
        console.stoppable() as stop,
        console.progress() as progress,
        closing(ImmichPeople(where, stop=stop)) as server,
    ):
        if undo is not None:
            _undo(server, staged, undo, options, apply=apply, give_up=give_up, progress=progress, stop=stop)
            return
        with local_people_source(people, cache, database, conf, console) as read_people:
            summary = run(
                server,
                staged,
                read_people,
                options,
                lambda plan: _confirmed(plan, progress, apply=apply),
                when=datetime.now().astimezone().strftime("%Y%m%d-%H%M%S"),
                progress=progress,
                stop=stop,
            )
    _finish(summary, staged, dry_run=options.dry_run, was_ended=stop.requested)


def _undo(
    server: "ImmichPeople",
    staged: Path,
    run: str,
    options: PushOptions,
    *,
    apply: bool,
    give_up: bool,
    progress: "Progress",
    stop: "Stop",
) -> None:
    from facesets.operations.immich.push_undo import immich_push_undo

    done = immich_push_undo(
        server,
        staged,
        run,
        lambda plan: apply or _agrees(f"{_undo_lines(plan)} Take this back?", progress),
        workers=options.workers,
        dry_run=options.dry_run,
        give_up=give_up,
        progress=progress,
        stop=stop,
    )
    _finish_undo(done, give_up=give_up, was_ended=stop.requested)


def _confirmed(plan: "PushSummary", progress: "Progress", *, apply: bool) -> bool:
    if not console.session.json:
        with console.paused(progress):
            console.out("\n".join(_plan_lines(plan)))
    return apply or _agrees("Change the server so?", progress)


def _agrees(question: str, progress: "Progress") -> bool:
    """Ask on a terminal; elsewhere nobody agrees."""
    if console.session.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    with console.paused(progress):
        return console.agrees(question)


def _finish(summary: "PushSummary", staged: Path, *, dry_run: bool, was_ended: bool) -> None:
    if summary.applied:
        lines = [f"Done: {_counted(summary.made)}."]
        if summary.stopped:
            lines.append(GO_ON)
        if summary.run:
            undo = Command("immich-push", printable(staged), Field("undo", summary.run), Field("apply"))
            lines.append(f"Take it back with: {undo.line}")
    elif summary.stopped:
        lines = ["Stopped before anything was changed."]
    elif summary.changes:
        shown = _plan_lines(summary) if dry_run else []
        lines = [*shown, _ENDED if was_ended else "Nothing was changed: add --apply to carry this out."]
    else:
        lines = [*_plan_lines(summary), "There is nothing to change."]
    console.show(summary, lines)
    console.failures(summary.failures)
    console.finish(failed=summary.failed)


def _plan_lines(plan: "PushSummary") -> list[str]:
    lines = [_person_line(person) for person in plan.people]
    named = ", ".join(printable(name) for name in plan.unfit)
    totals = (
        f"{people(len(plan.people))}, {counted(plan.photos, 'photo')}, {counted(plan.changes, 'change')}."
    )
    if plan.vanished:
        totals += f" {counted(plan.vanished, 'photo is', 'photos are')} not on the server any more."
    if plan.differing:
        totals += f" {counted(plan.differing, 'photo is', 'photos are')} passed over, edited on the server."
    if plan.of_others:
        are, stay = ("belongs", "stays as it is") if plan.of_others == 1 else ("belong", "stay as they are")
        totals += f" {counted(plan.of_others, 'photo')} {are} to other accounts and {stay}."
    if not plan.people:
        lines = [_NOBODY_NAMED]
    return [*lines, totals, *([f"No names for a server: {named}."] if named else [])]


def _person_line(person: "PushedPerson") -> str:
    what = _ACTIONS[person.action]
    if person.known_as and person.known_as != person.name:
        what += f" as {printable(person.known_as)}"
    parts = [what]
    parts += [f"{counted(person.in_place, 'face')} in place"] if person.in_place else []
    parts += [f"give {counted(person.give, 'face')}"] if person.give else []
    parts += [f"add {counted(person.add, 'face')}"] if person.add else []
    parts += [
        f"merge {printable(merge.name) or 'a nameless person'} ({counted(merge.photos, 'photo')}, "
        f"{merge.known} known)"
        for merge in person.merge
    ]
    left = [f"{count} left: {printable(reason)}" for reason, count in person.left.items()]
    return f"{printable(person.name)}: {'; '.join([*parts, *left])}"


def _undo_lines(plan: "PushUndoSummary") -> str:
    return (
        f"The run {plan.run} moved {counted(plan.faces, 'face')}, added {plan.added}, "
        f"merged {people(plan.merges)} into others, named {plan.names} and made {plan.created}."
    )


def _finish_undo(summary: "PushUndoSummary", *, give_up: bool, was_ended: bool) -> None:
    lines = [_undo_lines(summary)]
    if summary.applied:
        lines.append(f"Taken back: {_counted(summary.made)}.")
        lines += [f"Left: {count} {reason}." for reason, count in summary.left.items()]
        if summary.stopped or (summary.failed and not give_up):
            lines.append(
                "Not finished: run the same command again, or with --give-up to leave it at that."
                if summary.failed
                else "Not finished: run the same command again."
            )
        elif summary.failed:
            lines.append("Ended all the same: what failed stays as the run left it.")
    else:
        lines.append(_ENDED if was_ended else "Nothing was taken back: add --apply to do it.")
    console.show(summary, lines)
    console.failures(summary.failures)
    console.finish(failed=summary.failed + len(summary.left))


def _counted(made: "dict[str, int]") -> str:
    kinds = ((count, *_KINDS[kind]) for kind, count in sorted(made.items()))
    return ", ".join(f"{counted(count, one, many)} {done}" for count, one, many, done in kinds) or "nothing"
