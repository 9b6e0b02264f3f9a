"""Summaries of the commands that talk to an Immich server."""

from collections.abc import Mapping
from pathlib import Path

from facesets.errors import Command, Field
from facesets.files import printable
from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import RESUME_HINT

_ACTIONS = {
    "create": "create",
    "name": "name an unnamed person",
    "keep": "already known",
    "leave": "leave unchanged",
}
_KINDS = {
    "create_person": ("person", "people", "created"),
    "name_person": ("person", "people", "named"),
    "give_face": ("face", "faces", "assigned"),
    "create_face": ("face", "faces", "added"),
    "merge_person": ("person", "people", "merged"),
    "drop_birth_date": ("birth date", "birth dates", "removed"),
    "delete_face": ("face", "faces", "removed"),
    "delete_person": ("person", "people", "removed"),
    "changed_meanwhile": ("change", "changes", "skipped because the server was changed meanwhile"),
}
_ENDED = "Nothing was changed: the run was stopped at the question."
_NO_NAMED_PEOPLE = (
    "The staged photos show no named people. Name people first: run `facesets embed --queue QUEUE CACHE` and "
    "`facesets cluster CACHE OUT`, rename a folder such as OUT/person_001 to the person's name, and give "
    "--people OUT --cache CACHE."
)


def immich_stage(done: Result, *, dry_run: bool) -> list[str]:
    """Summarise `immich-stage`; `cli.console.report` lists failures and says how to resume."""
    skipped = ", ".join(f"{count} {kind}" for kind, count in sorted(done.skipped.items()))
    lines = [
        (
            f"{done.staged} of {counted(done.listed, 'photo')} to stage"
            if dry_run
            else f"Staged {done.staged} of {counted(done.listed, 'photo')} ({done.megabytes:g} MB downloaded)"
        )
        + f"; {done.settled_before} finished before. {counted(done.aliases, 'copy', 'copies')} of staged "
        f"photos, {done.known} already known; {done.small_faces} with only small faces, {done.no_face} "
        f"without faces; {done.gone} deleted meanwhile, {done.failed} failed."
    ]
    if skipped:
        lines.append(f"Skipped: {skipped}.")
    if done.of_others:
        belong = counted(done.of_others, "photo belongs", "photos belong")
        lines.append(f"{belong} to accounts other than the API key's; `immich-push` never changes those.")
    if "of another account" in done.skipped:
        lines.append("To stage photos of other accounts, such as partners', add --with-partners.")
    return lines


def immich_finish(done: Result, *, dry_run: bool) -> list[str]:
    """Summarise `immich-finish`."""
    steps = [
        f"{step.name}: {step.state}" + (f" in {step.seconds:g} s" if step.seconds else "")
        for step in done.steps
    ]
    return [*steps, done.next if dry_run else f"{done.next} The log is {printable(done.log)}."]


def immich_push_plan(plan: Result) -> list[str]:
    """Show the plan of `immich-push`."""
    lines = [_person_line(person) for person in plan.people]
    named = ", ".join(printable(name) for name in plan.unfit)
    totals = (
        f"{people(len(plan.people))}, {counted(plan.photos, 'photo')}, {counted(plan.changes, 'change')}."
    )
    if plan.vanished:
        totals += f" {counted(plan.vanished, 'photo is', 'photos are')} no longer on the server."
    if plan.differing:
        photos = counted(plan.differing, "photo is", "photos are")
        totals += f" {photos} skipped because the server has an edited version."
    if plan.of_others:
        belong = counted(plan.of_others, "photo belongs", "photos belong")
        totals += f" {belong} to other accounts and will not be changed."
    if not plan.people:
        lines = [_NO_NAMED_PEOPLE]
    return [*lines, totals, *([f"Names that the server cannot store: {named}."] if named else [])]


def _person_line(person: Result) -> str:
    what = _ACTIONS[person.action]
    if person.known_as and person.known_as != person.name:
        what += f" as {printable(person.known_as)}"
    parts = [what]
    parts += [f"{counted(person.in_place, 'face')} in place"] if person.in_place else []
    parts += [f"assign {counted(person.give, 'face')}"] if person.give else []
    parts += [f"add {counted(person.add, 'face')}"] if person.add else []
    parts += [
        f"merge {printable(merge.name) or 'an unnamed person'} ({counted(merge.photos, 'photo')}, "
        f"{merge.known} known)"
        for merge in person.merge
    ]
    left = [f"{count} skipped: {printable(reason)}" for reason, count in person.left.items()]
    return f"{printable(person.name)}: {'; '.join([*parts, *left])}"


def immich_push(done: Result, staged: Path, *, dry_run: bool, was_ended: bool) -> list[str]:
    """Summarise `immich-push`; `was_ended` means that the user stopped it, perhaps at the question."""
    if done.applied:
        lines = [f"Done: {_made(done.made)}."]
        if done.stopped:
            lines.append(RESUME_HINT)
        if done.run:
            undo = Command("immich-push", printable(staged), Field("undo", done.run), Field("apply"))
            lines.append(f"Undo with: {undo.line}")
        return lines
    if done.stopped:
        return ["Stopped before any change."]
    if done.changes:
        shown = immich_push_plan(done) if dry_run else []
        return [*shown, _ENDED if was_ended else "Nothing was changed. Add --apply to carry out this plan."]
    return [*immich_push_plan(done), "Nothing to change."]


def immich_push_undo_plan(plan: Result) -> str:
    """Describe the run that `immich-push --undo` will undo."""
    return (
        f"Run {plan.run} moved {counted(plan.faces, 'face')}, added {plan.added}, "
        f"merged {people(plan.merges)} into others, named {plan.names} and created {plan.created}."
    )


def immich_push_undo(done: Result, *, give_up: bool, was_ended: bool) -> list[str]:
    """Summarise `immich-push --undo`."""
    lines = [immich_push_undo_plan(done)]
    if not done.applied:
        return [*lines, _ENDED if was_ended else "Nothing was undone. Add --apply to undo the run."]
    lines.append(f"Undone: {_made(done.made)}.")
    lines += [f"Not undone: {count} {reason}." for reason, count in done.left.items()]
    if done.stopped or (done.failed and not give_up):
        lines.append(
            "Not finished. Run the same command again, or add --give-up to skip what cannot be undone."
            if done.failed
            else "Not finished. Run the same command again."
        )
    elif done.failed:
        lines.append("Finished. What could not be undone stays as the run left it.")
    return lines


def _made(changes: Mapping[str, int]) -> str:
    kinds = ((count, *_KINDS[kind]) for kind, count in sorted(changes.items()))
    return ", ".join(f"{counted(count, one, many)} {done}" for count, one, many, done in kinds) or "nothing"
