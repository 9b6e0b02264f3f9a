"""What the commands that talk to an Immich server did, in words."""

from collections.abc import Mapping
from pathlib import Path

from facesets.errors import Command, Field
from facesets.files import printable
from facesets.plurals import counted, people
from facesets.result import Result
from facesets.words.phrases import GO_ON

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


def immich_stage(done: Result, *, dry_run: bool) -> list[str]:
    """Words of `immich-stage`; of its failures, and of how to go on, says `cli.console.report`."""
    skipped = ", ".join(f"{count} {kind}" for kind, count in sorted(done.skipped.items()))
    lines = [
        f"{counted(done.listed, 'photo')} listed, {done.settled_before} finished before. "
        + (f"{done.staged} to stage" if dry_run else f"{done.staged} staged ({done.megabytes:g} MB fetched)")
        + f", {counted(done.aliases, 'copy', 'copies')} of these, {done.known} known; "
        f"{done.small_faces} with small faces only, {done.no_face} without; "
        f"{done.gone} vanished, {done.failed} failed."
    ]
    if skipped:
        lines.append(f"Passed over: {skipped}.")
    if done.of_others:
        belong = counted(done.of_others, "photo belongs", "photos belong")
        lines.append(
            f"{belong} to another account than the key's: `immich-push` never changes anything there."
        )
    if "of another account" in done.skipped:
        lines.append("Photos of other accounts, such as partners', are staged with --with-partners.")
    return lines


def immich_finish(done: Result, *, dry_run: bool) -> list[str]:
    """Words of `immich-finish`."""
    steps = [
        f"{step.name}: {step.state}" + (f" in {step.seconds:g} s" if step.seconds else "")
        for step in done.steps
    ]
    return [*steps, done.next if dry_run else f"{done.next} The log is {printable(done.log)}."]


def immich_push_plan(plan: Result) -> list[str]:
    """Words of what `immich-push` is to do."""
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


def _person_line(person: Result) -> str:
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


def immich_push(done: Result, staged: Path, *, dry_run: bool, was_ended: bool) -> list[str]:
    """Words of `immich-push`; `was_ended` says that the user ended it, at the question say."""
    if done.applied:
        lines = [f"Done: {_made(done.made)}."]
        if done.stopped:
            lines.append(GO_ON)
        if done.run:
            undo = Command("immich-push", printable(staged), Field("undo", done.run), Field("apply"))
            lines.append(f"Take it back with: {undo.line}")
        return lines
    if done.stopped:
        return ["Stopped before anything was changed."]
    if done.changes:
        shown = immich_push_plan(done) if dry_run else []
        return [*shown, _ENDED if was_ended else "Nothing was changed: add --apply to carry this out."]
    return [*immich_push_plan(done), "There is nothing to change."]


def immich_push_undo_plan(plan: Result) -> str:
    """Words of what `immich-push --undo` is to take back."""
    return (
        f"The run {plan.run} moved {counted(plan.faces, 'face')}, added {plan.added}, "
        f"merged {people(plan.merges)} into others, named {plan.names} and made {plan.created}."
    )


def immich_push_undo(done: Result, *, give_up: bool, was_ended: bool) -> list[str]:
    """Words of `immich-push --undo`."""
    lines = [immich_push_undo_plan(done)]
    if not done.applied:
        return [*lines, _ENDED if was_ended else "Nothing was taken back: add --apply to do it."]
    lines.append(f"Taken back: {_made(done.made)}.")
    lines += [f"Left: {count} {reason}." for reason, count in done.left.items()]
    if done.stopped or (done.failed and not give_up):
        lines.append(
            "Not finished: run the same command again, or with --give-up to leave it at that."
            if done.failed
            else "Not finished: run the same command again."
        )
    elif done.failed:
        lines.append("Ended all the same: what failed stays as the run left it.")
    return lines


def _made(changes: Mapping[str, int]) -> str:
    kinds = ((count, *_KINDS[kind]) for kind, count in sorted(changes.items()))
    return ", ".join(f"{counted(count, one, many)} {done}" for count, one, many, done in kinds) or "nothing"
